"""What a decision is made from and what it says: `Input` goes in, a `Plan` comes out; pure.

A plan is one step: at most one call, and the status to write once that call was accepted (or at once when there is
none). The steps of the policy give a `Draft`; `finish` turns it into the plan, and says in one place what holds for all
of them: what a status repeats, how a deletion that does not get on is told, and that a reason is announced once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from ..model.event import Event
from ..model.resource import ABANDON_ANNOTATION, AgbSession
from ..model.states import Created, DesiredState, Observation, SessionState
from ..model.status import ConditionDraft, Operation, Phase, Reason, SessionStatus, Truth
from .intent import OVERRIDE, Intent
from .proof import Absence, Evidence, Ownership, absence, ownership
from .usage import count, counts_as


class Action(StrEnum):
    """What the reconciler is to do; at most one of these in a pass."""

    NONE = "None"
    PAUSE = "Pause"
    RESUME = "Resume"
    RELEASE = "Release"
    CREATE = "Create"
    SET_LABELS = "SetLabels"
    LOOK_UP = "LookUp"
    """Find the sessions that carry the resource's UID, then decide again."""
    READ_LABELS = "ReadLabels"
    """Ask for the labels of the session, then decide again."""
    ASK_OTHERS = "AskOthers"
    """Ask for other sessions of the key, then decide again."""
    ASK_FORMER = "AskFormer"
    """Ask the key that saw the session, where another one looks, then decide again."""
    END_DUPLICATE = "EndDuplicate"
    """Take a session that an interrupted create has left one step nearer to its end."""
    ADD_FINALIZER = "AddFinalizer"
    """Put our finalizer on the resource, before a session may come into being for it."""
    REMOVE_FINALIZER = "RemoveFinalizer"
    """Take our finalizer off: deletion has no work left to do."""


QUESTIONS: Final = frozenset({Action.LOOK_UP, Action.READ_LABELS, Action.ASK_OTHERS, Action.ASK_FORMER})
"""What is asked in the middle of a pass, for its decision."""
FINAL: Final = frozenset({Action.RELEASE, Action.END_DUPLICATE})
"""What ends a session; nothing of it is done while its status cannot be written. A create is in the status before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalled:
    """What this process remembers of a resource; all of it may be lost at a restart without harm.

    Times are ages in seconds; None means that there is nothing to remember.
    """

    called: Action | None = None
    """Our last call for the session, if AGB took it, may have taken it, or refused it for the session's state: in each
    case a look that fits the call may be from before."""
    since_call: float | None = None
    """Since our last call for the session ended."""
    known_for: float = 0.0
    """Since this process first knew of the operation that the status names: it began then at the latest, whatever the
    clock of the machine said that wrote it."""
    missing_looks: int = 0
    """How many looks in a row found no such session."""
    missing_for: float = 0.0
    """Since the first of them."""
    vouched: bool = False
    """The key saw another session after the first of them and before the last."""
    failing_for: float = 0.0
    """Since the first of AGB's failures in a row."""
    mass_loss: bool = False
    """Most sessions of the same key are missing too, so the key is suspect, not the sessions."""
    since_create: float | None = None
    """Since a createSession may last have been sent, by this process or by an earlier one."""
    created: Created | None = None
    """What createSession has answered, while no status names the session."""
    look_up_rests: float = 0.0
    """Until a look-up that failed, or an end of a duplicate that did, may be tried again."""
    labels_in_doubt: bool = False
    """Labels were sent, and no status that says which has been written since."""
    clock_ahead: float = 0.0
    """How far the time of day has jumped ahead, as far as this process can tell, since the usage was last counted."""
    owner: str = ""
    """The resource that manages the session instead, "" when none does."""
    duplicated: bool = False
    """A living session carries the resource's UID and is not the one that it names."""
    left_behind: str = ""
    """A living session that was made for a resource of this name that is no more; "" for none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """All that a decision may know."""

    session: AgbSession
    now: datetime
    intent: Intent
    """What is wanted of the session, why, and until when."""
    recalled: Recalled = Recalled()
    seen: Observation | None = None
    """The look of this pass; None when there was none, or it failed."""
    found: Sequence[Observation] | None = None
    """The other living sessions that are listed for the resource's UID; None when nobody has looked them up in this
    pass. What the first of them carries is in `evidence`."""
    evidence: Evidence = field(default_factory=Evidence)
    cluster_name: str = ""
    """Value of the label `agb-operator-cluster` on sessions that this operator creates."""

    @property
    def ownership(self) -> Ownership:
        """Whose session it is that carries the labels in `evidence`."""
        since_create = self.recalled.since_create
        return ownership(self.session, self.evidence, cluster_name=self.cluster_name, since_create=since_create)

    @property
    def absence(self) -> Absence | None:
        """What it is worth that the look found no such session; None when it found one."""
        if self.seen is None or self.seen.state != SessionState.NOT_FOUND:
            return None
        return absence(
            self.session,
            self.evidence,
            looks=self.recalled.missing_looks,
            lasts=self.recalled.missing_for,
            vouched=self.recalled.vouched,
            vanished_together=self.recalled.mass_loss,
        )

    @property
    def desired(self) -> DesiredState:
        """What the session is to be."""
        return self.intent.state

    def age(self, operation: Operation) -> float:
        """Give an operation's age in seconds.

        It was begun by the clock of this machine or of another one: a time to come counts as now, and it is at least as
        old as this process knows of it.
        """
        last = self.session.status.operation
        known = last is not None and (last.type, last.started_at) == (operation.type, operation.started_at)
        return max(self.recalled.known_for if known else 0.0, (self.now - operation.started_at).total_seconds())

    def is_late(self, operation: Operation) -> bool:
        """Tell whether an operation has taken longer than the spec allows."""
        return self.age(operation) > self.session.timeout.total_seconds()


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A step as one rule decides it; what every rule would repeat is added by `finish`."""

    action: Action = Action.NONE
    status: SessionStatus | None = None
    """The status but for its conditions; None says nothing."""
    ready: ConditionDraft | None = None
    paused: ConditionDraft | None = None
    reconciling: bool = False
    """Work is under way: Reconciling repeats Ready."""
    stalled: bool = False
    """A person has to act: Stalled repeats Ready."""
    blocks: bool = False
    """A deletion gets no further: Stalled names the ways out, if the resource is being deleted."""
    warns: bool = False
    """Ready's reason and message are a warning event, if the reason is new."""
    requeue: float | None = None
    events: tuple[Event, ...] = ()
    drifted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One decided step."""

    action: Action = Action.NONE
    status: SessionStatus | None = None
    """What to write when the action was accepted; None leaves the status alone."""
    requeue: float | None = None
    """Seconds until the next pass; None leaves it to the resync and to the watch."""
    events: tuple[Event, ...] = ()
    """Go with the status."""
    drifted: bool = False
    """The session was changed behind our back."""


LEFT_BEHIND: Final = (
    "Session {session} exists, too: it was created for an earlier AgbSession of this name (one that was restored "
    "without its status, or deleted without its session). The operator leaves it alone. To continue with it, delete "
    "this resource and create one with spec.sessionId {session}."
)
WAYS_OUT: Final = (
    "To delete the resource and leave the session alone, set spec.deletionPolicy to Retain "
    f'or annotate the resource with {ABANDON_ANNOTATION}="true".'
)


def finish(given: Input, draft: Draft) -> Plan:
    """Put a step into the status's words."""
    session, status, ready, paused = given.session, draft.status, draft.ready, draft.paused
    events = draft.events
    if status is None or ready is None or paused is None:
        return Plan(action=draft.action, requeue=draft.requeue, events=events, drifted=draft.drifted)
    if session.paused and given.intent.why == OVERRIDE and given.desired == DesiredState.RUNNING:
        overruled = _overruled(session)
        ready = replace(ready, message=f"{ready.message} {overruled}")
        before = session.status
        if before.why == OVERRIDE and not before.ready.message.endswith(overruled):
            # spec.paused has turned true under the override; one that is renewed has been told of.
            events = (*events, Event(reason="OverrideInForce", message=overruled, warning=True))
    if (left := given.recalled.left_behind) and not session.deleting:
        text = LEFT_BEHIND.format(session=left)
        if text not in session.status.ready.message:
            events = (*events, Event(reason="SessionLeftBehind", message=text, warning=True))
        ready = replace(ready, message=f"{ready.message} {text}")
    drafts = {"Ready": ready, "Paused": paused}
    if draft.blocks and given.desired == DesiredState.GONE:
        text = f"{ready.message} {WAYS_OUT}"
        drafts["Stalled"] = ConditionDraft(status=Truth.TRUE, reason=Reason.DELETION_BLOCKED, message=text)
    elif draft.stalled:
        drafts["Stalled"] = replace(ready, status=Truth.TRUE)
    elif draft.reconciling:
        # Never both: kstatus believes the one it meets first, and would wait for what a person has to mend.
        drafts["Reconciling"] = replace(ready, status=Truth.TRUE)
    if draft.warns and session.status.ready.reason != ready.reason:
        events = (*events, Event(reason=ready.reason, message=ready.message, warning=True))
    status = replace(
        status,
        phase=Phase.DELETING if session.deleting else status.phase,
        desired_state=_desired_state(given),
        why=given.intent.why,
        next_change=given.intent.shown,
        last_handled_reconcile_at=session.reconcile_requested_at or status.last_handled_reconcile_at,
    ).saying(drafts, generation=session.generation, now=given.now)
    usage = count(status.usage, counts_as(status), given.now, left_out=given.recalled.clock_ahead)
    status = replace(status, usage=usage)
    return Plan(action=draft.action, status=status, requeue=draft.requeue, events=events, drifted=draft.drifted)


def _overruled(session: AgbSession) -> str:
    return (
        "spec.paused is true and has no effect while spec.override says Running. To pause the session now: "
        f"kubectl agb pause {session.key.name}, or remove spec.override."
    )


def _desired_state(given: Input) -> str:
    """Say what is wanted, as `status.desiredState`; a deletion leaves that as it was."""
    if given.desired != DesiredState.GONE:
        return str(given.desired)
    unknown = DesiredState.PAUSED if given.session.paused else DesiredState.RUNNING
    return given.session.status.desired_state or str(unknown)
