"""What is proven of a session: is it ours, is it really gone, has our call been obeyed; pure.

One module owns these questions, because nothing irreversible (a release, a replacement, taking over, letting go of the
finalizer) and no second call may rest on one unproven answer. The evidence is gathered by the reconciler; where some is
missing the answer says so, and the step asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

from ..model.resource import CLUSTER_LABEL, NAME_LABEL, NAMESPACE_LABEL, UID_LABEL, AgbSession
from ..model.states import Observation, SessionState
from ..model.status import OperationType, Phase
from .backoff import BELIEVE_AFTER, KEY_DOUBTED, LABELS_SHOW


class Others(StrEnum):
    """What looks at other sessions of the key have found."""

    UNASKED = auto()
    SEEN = auto()
    UNSEEN = auto()
    """None of those that it saw before."""
    NONE = auto()
    """There are too few others to compare with."""


class Former(StrEnum):
    """What the key says that saw the session, where another one answers in this pass."""

    UNASKED = auto()
    SILENT = auto()
    """It is not in memory, or AGB does not answer it."""
    SEES = auto()
    MISSES = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What was gathered in this pass beside the look."""

    witness: str = ""
    """Names the key that answers in this pass, for this session; "" before any key is known."""
    sender: str = ""
    """Names that key for the resource itself: who sent its createSession."""
    key_is_proven: bool = False
    """The key has seen a session that the key before it saw, so both belong to one account."""
    contested: bool = False
    """Another resource names the session, too."""
    labels: Mapping[str, str] | None = None
    """What GetLabel shows of the session, or of the first one found; None while nobody has asked."""
    owner_lives: bool = False
    """The UID in these labels is that of another resource that exists."""
    others: Others = Others.UNASKED
    """What the key sees of its other sessions, asked for after the look at this one."""
    former: Former = Former.UNASKED
    """What the key from before says of this one."""
    looked_up_by: str = ""
    """Names the key, for the resource, with which the sessions were looked up that carry its UID."""
    found_by: str = ""
    """Names that key for the first session found."""


class Ownership(StrEnum):
    """Whose session it is by its labels."""

    UNASKED = auto()
    OURS = auto()
    RESTORED = auto()
    """It was made for a resource of this name that is no more: restored from a backup, or created anew."""
    UNLABELLED = auto()
    """It carries no label of the operator: somebody has replaced them all."""
    UNPROVEN = auto()
    """It was created a moment ago, and labels show up late."""
    THEIRS = auto()


def ownership(session: AgbSession, evidence: Evidence, *, cluster_name: str, since_create: float | None) -> Ownership:
    """Say whose session it is that carries the labels which GetLabel has shown."""
    labels = evidence.labels
    if labels is None:
        return Ownership.UNASKED
    uid = labels.get(UID_LABEL, "")
    if uid == session.uid:
        return Ownership.OURS
    if not uid:
        fresh = since_create is not None and since_create < LABELS_SHOW
        return Ownership.UNPROVEN if fresh else Ownership.UNLABELLED
    named = session.session_labels(cluster_name)
    same_name = all(labels.get(label) == named[label] for label in (CLUSTER_LABEL, NAMESPACE_LABEL, NAME_LABEL))
    return Ownership.RESTORED if same_name and not evidence.owner_lives else Ownership.THEIRS


def sent_with(session: AgbSession, key: str) -> bool:
    """Tell whether a createSession was sent with the key of this name, as far as its status says.

    Another key may belong to another account, so what it does not find proves nothing.
    """
    last = session.status.operation
    return last is None or last.sent_with in ("", key)


class Absence(StrEnum):
    """What "not found" is worth."""

    BELIEVED = auto()
    FORMER_UNASKED = auto()
    """The key that looks is not the one that saw the session, and that one has to be asked."""
    UNVOUCHED = auto()
    """The key may see none of its sessions: others have to be asked for."""
    TOO_EARLY = auto()
    """One look may be mistaken, and one from before the key saw another session proves nothing."""
    OTHER_KEY = auto()
    """The key that looks may belong to another account than the session, and the one that saw it does not agree."""
    KEY_SUSPECT = auto()
    """The key suddenly sees none of the sessions that it saw."""


def release_was_taken(session: AgbSession) -> bool:
    """Tell whether AGB has taken a release of the session, whatever came of it."""
    last = session.status.operation
    return last is not None and last.type == OperationType.RELEASE


def absence(
    session: AgbSession, evidence: Evidence, *, looks: int, lasts: float, vouched: bool, vanished_together: bool
) -> Absence:
    """Say whether a session that is not found is gone.

    Args:
        session: the resource.
        evidence: what was gathered.
        looks: how many in a row did not find it.
        lasts: seconds since the first of them.
        vouched: the key saw another session after the first of them and before the last.
        vanished_together: the key has seen none of its sessions since this one vanished with others.

    That AGB took a release is a proof, too, so one look is enough then; but a release may be without effect, so it does
    not make a key believed that may not be the session's.
    """
    released = release_was_taken(session)
    vanished_together = vanished_together and not released  # people end many at once
    if session.confirmed_lost == session.session_id or session.status.phase == Phase.LOST:
        return Absence.BELIEVED
    before = session.status.seen_with
    if before and evidence.witness != before and not evidence.key_is_proven and evidence.former != Former.MISSES:
        return Absence.FORMER_UNASKED if evidence.former == Former.UNASKED else Absence.OTHER_KEY
    if evidence.others == Others.UNASKED and not vouched and not vanished_together:
        return Absence.UNVOUCHED
    if not released and (looks < 2 or lasts < BELIEVE_AFTER or (evidence.others == Others.SEEN and not vouched)):
        return Absence.TOO_EARLY
    if lasts < KEY_DOUBTED and (vanished_together or evidence.others == Others.UNSEEN):
        return Absence.KEY_SUSPECT
    return Absence.BELIEVED


LEFT_BY = {
    SessionState.RUNNING: frozenset({OperationType.PAUSE, OperationType.RELEASE}),
    SessionState.PAUSED: frozenset({OperationType.RESUME}),
}
"""The calls that a session leaves a state by."""


def contradicts_a_call(session: AgbSession, seen: Observation, called: str | None) -> bool:
    """Tell whether a list says what an accepted call of ours has left: lists may be old, so the session is asked.

    Args:
        session: the resource.
        seen: the look.
        called: the last call that this process made for the session, None for none.
    """
    kinds = LEFT_BY.get(seen.state, frozenset())
    last = session.status.operation
    return seen.listed and (called in kinds or (last is not None and last.type in kinds))
