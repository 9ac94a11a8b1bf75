"""Every entity of the vendor's data API, as one table.

Routes, pages, filters, sample records and the checks of writes are all made from it; `catalogue` is where to start.
"""
