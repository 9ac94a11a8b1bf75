"""Revocation: the one certain way to end a token is to end its connection, and to open it again.

The seat is kept: the claim stays through all of it, so that no waiting connection can take the
credits. The old token is dead before the new one exists, because the new connection is opened
only when Makini has confirmed the end of the old one and a complete listing has nothing of it.
"""

from __future__ import annotations

from datetime import datetime

from makini_operator.lifecycle.actions import Plan
from makini_operator.lifecycle.down import children_to_remove, close_connection, closed_facts
from makini_operator.lifecycle.observation import Observation
from makini_operator.lifecycle.report import Progress, Report, tell
from makini_operator.lifecycle.requests import handled, revocation_request
from makini_operator.lifecycle.steps import connecting
from makini_operator.resources.connection_status import Phase
from makini_operator.resources.reasons import Reason


def revocation(o: Observation, now: datetime) -> Plan | None:
    """The next steps of a revocation that was asked for or is under way; None: there is none."""
    status = o.connection.status
    if status.revocation is not None:
        return _go_on(o, now)
    request = revocation_request(o)
    if request is None or status.connection_id is None or status.credits is None:
        return None
    report = Report(Phase.DISCONNECTING, Progress.WORKING, Reason.TOKEN_REVOKING, _REVOKING)
    facts = {"revocation": request, "handled": handled(o.connection, revoke_at=request), "token": None}
    return Plan(status=tell(o.connection, report, now=now, facts=facts))


def _go_on(o: Observation, now: datetime) -> Plan:
    children = children_to_remove(o, now)
    if children:
        return Plan(actions=children)
    return close_connection(o, now, lambda: _closed(o, now))


def _closed(o: Observation, now: datetime) -> Plan:
    """The end is confirmed: everything is given up but the claim, and the way up begins where credits are held."""
    facts = closed_facts(o, Reason.TOKEN_REVOKED, now)
    del facts["credits"]
    message = "the token was revoked and its credits are kept; a new connection is being opened at Makini"
    return Plan(status=connecting(o, message, now, facts, reason=Reason.TOKEN_REVOKING))


_REVOKING = "revoking the token: the connection is closed at Makini and opened again, its credits stay held"
