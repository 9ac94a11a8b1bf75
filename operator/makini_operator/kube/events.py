"""Kubernetes Events: what `kubectl describe` shows at the bottom.

Best effort: an Event that cannot be written (the namespace is going away, say) is dropped,
never retried, and never fails a reconcile.
"""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime

from makini_operator.kube.api import EVENTS, KubeApi
from makini_operator.kube.errors import KubeError
from makini_operator.lifecycle.happenings import Happening
from makini_operator.resources.base import API_VERSION, ObjectMeta

NOTE_LIMIT = 1024
DEFAULT_NAMESPACE = "default"
_logger = logging.getLogger(__name__)


class EventRecorder:
    """Writes Events about the two resources."""

    def __init__(self, api: KubeApi, *, instance: str) -> None:
        self._api = api
        self._instance = instance

    async def record(self, kind: str, about: ObjectMeta, happening: Happening) -> None:
        """Tell what happened to one object."""
        namespace = about.namespace or DEFAULT_NAMESPACE
        try:
            await self._api.create(EVENTS, namespace, self._event(kind, about, happening, namespace))
        except KubeError as error:
            _logger.debug("event not written: %s", error)

    def _event(self, kind: str, about: ObjectMeta, happening: Happening, namespace: str) -> dict[str, object]:
        regarding = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "name": about.name,
            "namespace": about.namespace,
            "uid": about.uid,
            "resourceVersion": about.resource_version,
        }
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{about.name}.{uuid.uuid4().hex[:12]}", "namespace": namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Warning" if happening.is_warning else "Normal",
            "reason": happening.reason,
            "note": happening.message[:NOTE_LIMIT],
            "action": happening.reason,
            "reportingController": "makini.io/operator",
            "reportingInstance": self._instance,
            "regarding": regarding,
        }
