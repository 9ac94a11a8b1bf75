"""Credits: what a connection costs, and the ledger that never grants more than a pool has.

Pure functions over snapshots, small enough to read in one sitting. The protocol that
surrounds them (who may write, on which version) is in `controllers/allocator.py`; why the
two together cannot over-grant is in `docs/credits.md`.
"""
