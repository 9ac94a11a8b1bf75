"""Client of Makini's v3 API: authentication, paging, repetition, and errors that say what may have happened.

The operator's only way to Makini. Knows nothing of Kubernetes, controllers or credits: it is given a session, a URL
and a function that yields the account's credentials, and returns plain values. Start at `MakiniClient`.
"""

from makini_operator.makini.budget import RateBudget
from makini_operator.makini.client import Limits, MakiniClient
from makini_operator.makini.errors import (
    Forbidden,
    IncompleteListing,
    MakiniError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServerFault,
    Unauthenticated,
    Unreachable,
)
from makini_operator.makini.types import (
    ClientCredentials,
    ConnectionToken,
    CurrentIntegration,
    NewConnection,
    RemoteConnection,
)

__all__ = [
    "ClientCredentials",
    "ConnectionToken",
    "CurrentIntegration",
    "Forbidden",
    "IncompleteListing",
    "Limits",
    "MakiniClient",
    "MakiniError",
    "NewConnection",
    "NotFound",
    "OutcomeUnknown",
    "RateBudget",
    "RateLimited",
    "Rejected",
    "RemoteConnection",
    "ServerFault",
    "Unauthenticated",
    "Unreachable",
]
