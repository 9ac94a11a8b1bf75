"""Sample records, made by rule from the table when they are asked for: nothing has to be held in memory.

Guarantees: the same at every start; every key points at a record that exists; the n-th record's change date is later
than that of the one before, which is what makes reading changes from a million records cheap.
"""
