"""A connection's life: observe, plan, act. This package is the plan.

`plan(observation, now)` is a pure function: no I/O, no clock, no kopf, no client. What it
returns is performed by `controllers/executor.py`, one durable step at a time, so the whole
life can be tested as a table and explored by crashing after every single write.
"""
