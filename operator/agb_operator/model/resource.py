"""The AgbSession as a typed value, read from what the API server says; pure.

The CRD refuses most mistakes before they get here. An object can still be wrong (made under an older CRD, or with
validation relaxed), so reading never raises: what is wrong goes into `problem`, which becomes the reason `InvalidSpec`.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .fields import mapping_in, number_in, seconds_in, text_in
from .override import Override, read_override
from .status import OperationType, SessionStatus, parse_timestamp
from .status_json import status_from_dict

GROUP: Final = "agb.cloud"
VERSION: Final = "v1alpha1"
KIND: Final = "AgbSession"
PLURAL: Final = "agbsessions"
FINALIZER: Final = "agb.cloud/session"
ABANDON_ANNOTATION: Final = "agb.cloud/abandon"
CONFIRM_LOST_ANNOTATION: Final = "agb.cloud/confirm-lost"
UID_LABEL: Final = "agb-operator-uid"
NAMESPACE_LABEL: Final = "agb-operator-namespace"
NAME_LABEL: Final = "agb-operator-name"
CLUSTER_LABEL: Final = "agb-operator-cluster"
RECONCILE_ANNOTATION: Final = "agb.cloud/reconcile-requested-at"
DEFAULT_TIMEOUT: Final = timedelta(minutes=10)
DEFAULT_POLL_INTERVAL: Final = timedelta(seconds=2)
DEFAULT_ENTRY: Final = "apiKey"

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_LABEL_LENGTH: Final = 128


class ObjectKey(NamedTuple):
    """What names an object in its cluster: two kinds may use one name."""

    namespace: str
    name: str
    kind: str = KIND

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class SecretRef(NamedTuple):
    """An entry of a Secret in the resource's own namespace."""

    name: str
    entry: str


class Witness(NamedTuple):
    """A key as a status names it, without giving it away (see `agb.api_key`)."""

    subject: str
    """A session, or the UID of a resource: the name is for it alone."""
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AgbSession:
    """One resource: what is asked for, and what its status says.

    `deletes_session` and `observe_only` are the policies resolved; `problem` is "" or what makes the spec unusable.
    """

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    created_at: datetime
    deleting: bool
    finalizers: tuple[str, ...]
    paused: bool
    override: Override | None = None
    object_labels: Mapping[str, str] = field(default_factory=dict)
    """`metadata.labels`, by which schedules select; `labels` are those of the session in AGB."""
    image_id: str
    adopted_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    secret: SecretRef | None = None
    deletes_session: bool
    observe_only: bool
    recreate: bool
    timeout: timedelta
    poll_interval: timedelta
    abandoned: bool
    confirmed_lost: str = ""
    """The session of which a person has said that it is gone."""
    reconcile_requested_at: str
    annotations_hash: int
    problem: str
    status: SessionStatus

    @property
    def session_id(self) -> str:
        """The session this resource speaks of: adopted by the spec, or created and noted in the status."""
        return self.adopted_id or self.status.session_id

    @property
    def witness(self) -> Witness | None:
        """The key that last saw the session, or that sent the createSession of which nothing is known yet."""
        if self.session_id:
            return Witness(self.session_id, self.status.seen_with) if self.status.seen_with else None
        last = self.status.operation
        sent = last is not None and last.is_running(OperationType.CREATE) and last.attempts > 0
        return Witness(self.uid, last.sent_with) if last is not None and sent and last.sent_with else None

    @property
    def asks(self) -> tuple[object, ...]:
        """All that people can change and that a pass reacts to; the status is ours and not part of it."""
        return (
            self.uid,
            self.generation,
            self.deleting,
            self.has_finalizer,
            self.annotations_hash,
            self.object_labels,
        )

    @property
    def has_finalizer(self) -> bool:
        """Whether our finalizer holds the resource."""
        return FINALIZER in self.finalizers

    @property
    def precedence(self) -> tuple[datetime, str]:
        """Orders resources that claim one session: the smallest one manages it."""
        return (self.created_at, self.uid)

    def session_labels(self, cluster_name: str) -> dict[str, str]:
        """The labels of a created session: the user's, and ours, by which it is found again."""
        # Only the UID decides; name and namespace tell people in the AGB console, so cutting them is safe.
        names = {NAMESPACE_LABEL: self.key.namespace, NAME_LABEL: self.key.name[:_LABEL_LENGTH]}
        return {**self.labels, **self.owner_labels(), **names, **own_labels(cluster_name)}

    def owner_labels(self) -> dict[str, str]:
        """The label that finds the sessions made for this resource and for no other, ever."""
        return {UID_LABEL: self.uid}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "AgbSession":
        """Read an object as the watch or a GET gives it."""
        meta, spec = mapping_in(body, "metadata"), mapping_in(body, "spec")
        problems: list[str] = []
        image, adopted = text_in(spec, "imageId"), text_in(spec, "sessionId")
        if bool(image) == bool(adopted):
            problems.append("set exactly one of spec.imageId and spec.sessionId")
        paused = spec.get("paused", False)
        if not isinstance(paused, bool):
            problems.append("spec.paused must be true or false")
        annotations = mapping_in(meta, "annotations")
        ours = bool(image) and not adopted  # a session that somebody else made is never ended unasked
        deletion = _choice(spec, "deletionPolicy", ("Delete", "Retain"), "Delete" if ours else "Retain", problems)
        return cls(
            key=ObjectKey(text_in(meta, "namespace"), text_in(meta, "name")),
            uid=text_in(meta, "uid"),
            resource_version=text_in(meta, "resourceVersion"),
            generation=number_in(meta, "generation"),
            created_at=parse_timestamp(meta.get("creationTimestamp")) or datetime.fromtimestamp(0, UTC),
            deleting=bool(meta.get("deletionTimestamp")),
            finalizers=tuple(str(f) for f in meta.get("finalizers") or ()),
            paused=paused is True,
            override=read_override(spec, problems),
            object_labels=_shared(mapping_in(meta, "labels")),
            image_id=image,
            adopted_id=adopted,
            labels={str(k): str(v) for k, v in mapping_in(spec, "labels").items()},
            secret=_secret(spec, problems),
            deletes_session=deletion == "Delete",
            observe_only=_choice(spec, "managementPolicy", ("Manage", "Observe"), "Manage", problems) == "Observe",
            recreate=_choice(spec, "onSessionLost", ("Fail", "Recreate"), "Fail", problems) == "Recreate",
            timeout=_duration(spec, "timeout", DEFAULT_TIMEOUT, "24h", problems),
            poll_interval=_duration(spec, "pollInterval", DEFAULT_POLL_INTERVAL, "5m", problems),
            abandoned=annotations.get(ABANDON_ANNOTATION) == "true",
            confirmed_lost=str(annotations.get(CONFIRM_LOST_ANNOTATION) or ""),
            reconcile_requested_at=str(annotations.get(RECONCILE_ANNOTATION) or ""),
            annotations_hash=hash(frozenset((str(k), str(v)) for k, v in annotations.items())),
            problem="; ".join(problems),
            status=status_from_dict(body.get("status")),
        )


def own_labels(cluster_name: str) -> dict[str, str]:
    """The label that all sessions carry which the operator of a cluster has created."""
    return {CLUSTER_LABEL: cluster_name[:_LABEL_LENGTH]}


@lru_cache(maxsize=256)
def parse_duration(text: str) -> timedelta | None:
    """Read a duration such as `90s`, `10m` or `1h30m`; None when it is none or not positive."""
    seconds = seconds_in(text, _DURATION)
    duration = timedelta(seconds=seconds) if seconds is not None and seconds < 10**9 else timedelta(0)
    return duration or None


def _duration(spec: Mapping[str, Any], name: str, default: timedelta, longest: str, problems: list[str]) -> timedelta:
    value = spec.get(name)
    if value is None:
        return default
    parsed = parse_duration(value) if isinstance(value, str) else None
    most = parse_duration(longest)
    if parsed is None or most is None or not timedelta(seconds=1) <= parsed <= most:
        problems.append(f"spec.{name} must be a duration from 1s to {longest}, such as 90s, 1m30s or 5m")
        return default
    return parsed


def _choice(spec: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str, problems: list[str]) -> str:
    value = spec.get(name, default)
    if value not in allowed:
        problems.append(f"spec.{name} must be {' or '.join(allowed)}")
        return default
    return str(value)


def _secret(spec: Mapping[str, Any], problems: list[str]) -> SecretRef | None:
    if spec.get("credentials") is None:
        return None
    reference = mapping_in(mapping_in(spec, "credentials"), "secretRef")
    name = text_in(reference, "name")
    if not name:
        problems.append("spec.credentials.secretRef.name must name a Secret in this namespace")
        return None
    return SecretRef(name, text_in(reference, "key") or DEFAULT_ENTRY)


def _shared(labels: Mapping[str, Any]) -> Mapping[str, str]:
    """Keep each word once: thousands of resources carry the same few labels."""
    return {sys.intern(str(key)): sys.intern(str(value)) for key, value in labels.items()}
