"""How the rest of the world reads a status: kstatus' rules for custom resources, and a check that is stricter.

Why: Flux, Helm 4 and every tool on sigs.k8s.io/cli-utils decide with kstatus whether a
resource is done, still moving, or failed. `compute` answers as it does (pkg/kstatus/status
at v0.37.2) for kinds it has no special rule for. `check_honest` asserts what kstatus takes
on trust, and what makes a status mean the same to kstatus, `kubectl wait` and a person.
"""

import re
from datetime import datetime
from typing import Any, Literal

Status = Literal["Current", "InProgress", "Failed", "Terminating"]

_REASON = re.compile(r"[A-Z][A-Za-z0-9]*")
_ONLY_WHILE_TRUE = ("Reconciling", "Stalled")


def compute(obj: dict[str, Any]) -> tuple[Status, str]:
    """The status and message that kstatus computes.

    In this order: deletion, an unobserved generation, the first Reconciling or Stalled that is True, then Ready.
    No status at all is Current: to kstatus a resource that says nothing is done.
    """
    metadata, status = obj.get("metadata") or {}, obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating", "Resource scheduled for deletion"
    generation, observed = metadata.get("generation"), status.get("observedGeneration")
    if generation is not None and observed is not None and observed != generation:
        message = f"generation is {generation}, but latest observed generation is {observed}"
        return "InProgress", f"{obj.get('kind', '')} {message}"
    conditions = status.get("conditions") or []
    for condition in conditions:
        if condition.get("status") == "True" and condition["type"] == "Reconciling":
            return "InProgress", condition.get("message", "")
        if condition.get("status") == "True" and condition["type"] == "Stalled":
            return "Failed", condition.get("message", "")
    for condition in conditions:
        if condition["type"] == "Ready" and condition.get("status") == "True":
            return "Current", "Resource is Ready"
        if condition["type"] == "Ready" and condition.get("status") in {"False", "Unknown"}:
            return "InProgress", condition.get("message", "")
    return "Current", "Resource is current"


def check_honest(obj: dict[str, Any]) -> None:
    """Asserts that a status which a controller wrote can be taken at its word.

    Raises:
        AssertionError: naming the object and the first thing that is wrong.
    """
    status = obj.get("status") or {}
    name = f"{obj.get('kind', 'object')} {(obj.get('metadata') or {}).get('name', '?')}"
    observed = status.get("observedGeneration")
    assert observed is not None, f"{name}: status has no observedGeneration"
    generation = obj["metadata"]["generation"]
    assert observed <= generation, f"{name}: observedGeneration {observed} is ahead of generation {generation}"

    conditions = status.get("conditions") or []
    types = [condition["type"] for condition in conditions]
    assert len(types) == len(set(types)), f"{name}: a condition type is there twice: {types}"
    for condition in conditions:
        _check_condition(name, condition, observed)

    assert "Ready" in types, f"{name}: no Ready condition among {types}"
    assert not set(_ONLY_WHILE_TRUE) <= set(types), f"{name}: Reconciling and Stalled at once"
    ready = next(condition for condition in conditions if condition["type"] == "Ready")
    assert ready.get("observedGeneration") == observed, (
        f"{name}: Ready is about generation {ready.get('observedGeneration')}, the status about {observed}"
    )
    contradiction = set(_ONLY_WHILE_TRUE) & set(types)
    if ready["status"] == "True":
        assert not contradiction, f"{name}: Ready is True together with {', '.join(contradiction)}"


def _check_condition(name: str, condition: dict[str, Any], observed: int) -> None:
    kind = condition["type"]
    assert condition.get("status") in {"True", "False", "Unknown"}, f"{name}: {kind} is {condition.get('status')!r}"
    if kind in _ONLY_WHILE_TRUE:
        assert condition["status"] == "True", f"{name}: {kind} is {condition['status']}; it must be True or absent"
    reason = condition.get("reason") or ""
    assert _REASON.fullmatch(reason), f"{name}: {kind} has reason {reason!r}, which is not CamelCase"
    assert (condition.get("message") or "").strip(), f"{name}: {kind} has no message"
    about = condition.get("observedGeneration", observed)
    assert about <= observed, f"{name}: {kind} is about generation {about}, newer than the status ({observed})"
    moment = condition.get("lastTransitionTime") or ""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        parsed = None
    assert parsed is not None, f"{name}: {kind} has lastTransitionTime {moment!r}, which is no time"
    assert parsed.tzinfo is not None, f"{name}: {kind} has lastTransitionTime {moment!r} without a zone"
