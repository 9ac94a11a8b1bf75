"""Where records are loaded to: PostgreSQL, Delta tables in files, DuckDB on a volume. One dataset for each connection.

Each destination keeps the cursor and all other state of the dataset beside the rows, locks the dataset, and knows how
to compare, count and mark rows. Loading itself is dlt's (`load.py`).
"""
