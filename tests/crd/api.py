"""The API server's verdict on an object of ours, asked for by the Python client, which is far quicker than kubectl.

The complaints are what kubectl prints, line by line; `test_refused.py` compares the two once.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

GROUP, VERSION = "agb.cloud", "v1alpha1"
SESSIONS, SCHEDULES = "agbsessions", "agbpauseschedules"
NAMESPACE = "default"
_MERGE = "application/merge-patch+json"
_ECHO = re.compile(r"in body should match|some validation rules were not checked")
"""Lines the API server adds by itself: a pattern beside our rule's message, and a hint to try again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionDraft:
    """What the API server answered.

    Attributes:
        taken: the object as the API server took it, None if it refused.
        message: its refusal in one text, "" if it took the object.
        reasons: its refusal by field and rule: the lines that kubectl prints; empty for an unreadable object.
    """

    taken: Mapping[str, Any] | None
    message: str
    reasons: tuple[str, ...]

    @property
    def complaints(self) -> list[str]:
        """The reasons that tell the user something, sorted."""
        assert self.taken is None, "the API server took it"
        return sorted(reason for reason in self.reasons if not _ECHO.search(reason))

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as the API server took it, with its defaults."""
        assert self.taken is not None, self.message
        spec: Mapping[str, Any] = self.taken["spec"]
        return spec


class Api:
    """Reads and writes the objects of one kind in one namespace."""

    def __init__(self, *, kubeconfig: Path, plural: str = SESSIONS) -> None:
        """Connect as the kubeconfig says."""
        self._plural = plural
        connect: Callable[..., Any] = config.new_client_from_config  # the package leaves it untyped
        self._client = connect(config_file=str(kubeconfig))
        self._objects = client.CustomObjectsApi(self._client)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> ConditionDraft:
        """Create an object, as strictly as kubectl does; in a dry run nothing is stored."""
        return _verdict(
            lambda: self._objects.create_namespaced_custom_object(
                GROUP,
                VERSION,
                NAMESPACE,
                self._plural,
                dict(manifest),
                dry_run=_dry(dry_run),
                field_validation="Strict",
            )
        )

    def patch(self, name: str, patch: Mapping[str, Any], *, dry_run: bool = False) -> ConditionDraft:
        """Change an object by a merge patch; in a dry run nothing is stored."""
        return _verdict(
            lambda: self._objects.patch_namespaced_custom_object(
                GROUP, VERSION, NAMESPACE, self._plural, name, dict(patch), dry_run=_dry(dry_run), _content_type=_MERGE
            )
        )

    def patch_status(self, name: str, patch: Mapping[str, Any]) -> ConditionDraft:
        """Change an object by a merge patch to its status subresource, as the operator does."""
        return _verdict(
            lambda: self._objects.patch_namespaced_custom_object_status(
                GROUP, VERSION, NAMESPACE, self._plural, name, dict(patch), _content_type=_MERGE
            )
        )

    def get(self, name: str) -> dict[str, Any]:
        """Read an object."""
        found: Any = self._objects.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, self._plural, name)
        return dict(found)


def agb_session(spec: Mapping[str, Any], *, name: str = "x") -> dict[str, Any]:
    """Return the manifest of an AgbSession."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "AgbSession",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": dict(spec),
    }


def agb_schedule(spec: Mapping[str, Any], *, name: str = "x") -> dict[str, Any]:
    """Return the manifest of an AgbPauseSchedule."""
    return {**agb_session(spec, name=name), "kind": "AgbPauseSchedule"}


def _dry(dry_run: bool) -> str | None:
    return "All" if dry_run else None


def _verdict(call: Callable[[], Any]) -> ConditionDraft:
    try:
        taken = call()
    except client.ApiException as refusal:
        status = json.loads(refusal.body or "{}")
        causes = status.get("details", {}).get("causes", ())
        return ConditionDraft(
            taken=None,
            message=status["message"],
            reasons=tuple(f"{cause['field']}: {cause['message']}" for cause in causes),
        )
    return ConditionDraft(taken=taken, message="", reasons=())
