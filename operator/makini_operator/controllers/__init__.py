"""Wiring: kopf's events in, reconciles out.

`handlers` (the only module that knows kopf) puts what it hears into the stores and adds a
key to the `workqueue`. `reconciler` takes a key, has `observer` look, asks `lifecycle.plan`
what to do, and has `executor` do it. `allocator` keeps one pool's ledger; `accounts` and
`account_index` know what Makini has. `world` holds what they share.
"""
