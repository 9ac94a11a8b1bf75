"""How fast the operator is, against what the same API server allows a bare client in the same run.

`python -m tests.bench` (make bench) runs it; docs/performance.md says what the figures mean.
pytest collects nothing here.
"""
