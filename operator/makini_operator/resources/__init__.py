"""What users write and read: the two custom resources as pydantic models.

The models are the single source of the CRDs in `crds/` (see `crd.py`), of what
`kubectl explain` shows (the descriptions), and of what every other layer passes
around: nothing above this package handles raw dictionaries of a resource.
"""
