"""Small builders for the tests of the pure core: a resource, a look at its session, plans carried on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from agb_operator.control.intents import Intents
from agb_operator.control.schedule_store import Reading, ScheduleStore
from agb_operator.control.store import Store
from agb_operator.model.clock import Clock
from agb_operator.model.errors import AgbError
from agb_operator.model.resource import FINALIZER, UID_LABEL, AgbSession
from agb_operator.model.states import Observation, SessionState, state_of
from agb_operator.model.status import (
    Condition,
    Operation,
    OperationState,
    OperationType,
    Phase,
    SessionStatus,
    Truth,
    timestamp,
)
from agb_operator.model.status_json import status_from_dict, status_to_dict
from agb_operator.policy import decide as policy
from agb_operator.policy import on_error as errors
from agb_operator.policy.intent import NO_SCHEDULES, Intent, Subject
from agb_operator.policy.intent import decide as decide_intent
from agb_operator.policy.plan import QUESTIONS, Action, Input, Plan, Recalled
from agb_operator.policy.proof import Evidence, Former, Others

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOTHING = Recalled()
ID = "session-1"
IMAGE = "agb-code-space-1"


def later(seconds: float) -> datetime:
    """Give the time so many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def a_body(
    *,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    name: str = "batch-7",
    namespace: str = "ml",
    uid: str = "uid-1",
    version: str = "100",
    generation: int = 1,
    created: datetime = NOW,
    deleting: bool = False,
    finalizers: Sequence[str] = (FINALIZER,),
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Build an object as the API server gives it."""
    meta: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": uid,
        "resourceVersion": version,
        "generation": generation,
        "creationTimestamp": timestamp(created),
        "finalizers": list(finalizers),
        "annotations": dict(annotations or {}),
    }
    if deleting:
        meta["deletionTimestamp"] = timestamp(later(3600))
    body: dict[str, Any] = {"metadata": meta, "spec": dict({"imageId": IMAGE} if spec is None else spec)}
    body["status"] = dict({"observedGeneration": -1} if status is None else status)
    return body


def a_session(
    *,
    status: SessionStatus | None = None,
    adopted: str = "",
    held: bool = True,
    name: str = "batch-7",
    namespace: str = "ml",
    uid: str = "uid-1",
    version: str = "100",
    generation: int = 1,
    created: datetime = NOW,
    deleting: bool = False,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> AgbSession:
    """Build a resource that created its session (or adopts one); keyword arguments left over are spec fields."""
    source = {"sessionId": adopted} if adopted else {"imageId": IMAGE}
    body = a_body(
        spec={**source, **spec},
        status=status_to_dict(status or SessionStatus()),
        name=name,
        namespace=namespace,
        uid=uid,
        version=version,
        generation=generation,
        created=created,
        deleting=deleting,
        finalizers=(FINALIZER,) if held else (),
        annotations=annotations,
    )
    return AgbSession.from_body(body)


def a_status(
    *,
    ready: Truth = Truth.FALSE,
    reason: str = "Creating",
    session_id: str = ID,
    session_status: str = "",
    phase: Phase | None = Phase.PENDING,
    operation: Operation | None = None,
    labels: Mapping[str, str] | None = None,
    generation: int = 1,
    recreations: tuple[str, ...] = (),
) -> SessionStatus:
    """Build the status that a pass before has left."""
    condition = Condition(
        type="Ready",
        status=ready,
        reason=reason,
        message="Said before.",
        observed_generation=generation,
        last_transition_time=timestamp(NOW),
    )
    return SessionStatus(
        observed_generation=generation,
        phase=phase,
        session_id=session_id,
        session_status=session_status,
        desired_state="Running",
        why="Default",
        operation=operation,
        labels={} if labels is None else labels,
        recreations=recreations,
        conditions=(condition,),
    )


def an_operation(
    kind: OperationType,
    state: OperationState = OperationState.IN_PROGRESS,
    *,
    attempts: int = 1,
    started: float = 0.0,
    message: str = "",
) -> Operation:
    """Build an operation that began `started` seconds after `NOW`."""
    begun = later(started)
    finished = None if state == OperationState.IN_PROGRESS else begun
    return Operation(type=kind, state=state, started_at=begun, finished_at=finished, attempts=attempts, message=message)


def seen(status: str, session_id: str = ID) -> Observation:
    """Build a look at a session that brought back this word of the API."""
    return Observation(session_id=session_id, status=status, state=state_of(status), taken_at=0.0)


def not_found(session_id: str = ID) -> Observation:
    """Build a look at a session that the API does not know."""
    return Observation(session_id=session_id, status="", state=SessionState.NOT_FOUND, taken_at=0.0)


def intent(session: AgbSession, now: datetime = NOW) -> Intent:
    """Give what is wanted where there are no schedules."""
    return decide_intent(Subject.of(session), NO_SCHEDULES, now)


def given(session: AgbSession, now: datetime = NOW, **facts: Any) -> Input:
    """Build what a decision is made from, where there are no schedules."""
    return Input(session=session, now=now, intent=intent(session, now), **facts)


def ours(session: AgbSession) -> Evidence:
    """Give the proof that a session is the resource's."""
    return Evidence(labels={UID_LABEL: session.uid})


def plan(session: AgbSession, look: Observation, *, now: datetime = NOW, recalled: Recalled = NOTHING) -> Plan:
    """Decide after a look; what is asked for besides is as usual: our labels, nothing else that has them,
    and no other session of the key."""
    about = given(session, now, recalled=recalled, seen=look)
    decided = policy.decide(about)
    while decided.action in QUESTIONS:
        match decided.action:
            case Action.LOOK_UP:
                about = replace(about, found=())
            case Action.READ_LABELS:
                about = replace(about, evidence=replace(about.evidence, labels=ours(session).labels))
            case Action.ASK_FORMER:
                about = replace(about, evidence=replace(about.evidence, former=Former.SILENT))
            case _:
                about = replace(about, evidence=replace(about.evidence, others=Others.NONE))
        decided = policy.decide(about)
    return decided


def plan_creation(
    session: AgbSession, found: Sequence[Observation], *, now: datetime = NOW, recalled: Recalled = NOTHING
) -> Plan:
    """Decide for a resource without a session; `found` is what carries its UID."""
    return policy.decide(given(session, now, recalled=recalled, found=found, evidence=ours(session)))


def before_looking(session: AgbSession, *, recalled: Recalled = NOTHING) -> Plan | None:
    """Decide without a look."""
    return policy.before_looking(given(session, NOW, recalled=recalled))


def on_error(
    session: AgbSession,
    error: AgbError,
    *,
    recalled: Recalled = NOTHING,
    retry: float,
    attempted: Action,
    seen: Observation | None,
    now: datetime = NOW,
) -> Plan:
    """Decide after an error."""
    about = given(session, now, recalled=recalled, seen=seen)
    return errors.on_error(about, error, retry=retry, attempted=attempted)


def carried_on(session: AgbSession, decided: Plan) -> AgbSession:
    """Give the resource once a plan's status was written and read back; without one it is as it was."""
    if decided.status is None:
        return session
    return replace(session, status=status_from_dict(status_to_dict(decided.status)))


def conditions(session: AgbSession) -> dict[str, tuple[str, str]]:
    """Give status and reason of each condition."""
    return {c.type: (str(c.status), c.reason) for c in session.status.conditions}


def said(session: AgbSession, kind: str = "Ready") -> str:
    """Give a condition's message."""
    condition = session.status.condition(kind)
    assert condition is not None, f"there is no condition {kind}"
    return condition.message


class Story:
    """One resource through many passes: each look is planned for, the report written, and what happened noted.

    Attributes:
        session: the resource as it is now.
        calls: the actions so far.
        writes: how many reports changed the status.
        events: the reasons of the events so far.
    """

    def __init__(self, session: AgbSession) -> None:
        self.session = session
        self.calls: list[Action] = []
        self.writes = 0
        self.events: list[str] = []
        self._called_at: float | None = None

    def look(self, look: Observation | str, *, at: float, recalled: Recalled = NOTHING) -> Plan:
        """Do a pass that sees this, so many seconds after `NOW`; the age of the last call is filled in."""
        observation = seen(look) if isinstance(look, str) else look
        since = None if self._called_at is None else at - self._called_at
        decided = plan(self.session, observation, now=later(at), recalled=replace(recalled, since_call=since))
        if decided.action != Action.NONE:
            self.calls.append(decided.action)
            self._called_at = at
        before, self.session = self.session, carried_on(self.session, decided)
        self.writes += before.status != self.session.status
        self.events.extend(event.reason for event in decided.events)
        return decided

    def edit(self, **fields: Any) -> None:
        """Have somebody change the resource, which raises its generation."""
        self.session = replace(self.session, generation=self.session.generation + 1, **fields)

    def restart(self) -> None:
        """Forget what only the process knew."""
        self._called_at = None


SEEN = a_status(session_status="RUNNING", phase=Phase.RUNNING)


def no_schedules() -> Intents:
    """Build what says what is wanted where there are no schedules."""
    schedules = ScheduleStore(namespaces=())
    schedules.note(None, Reading.LISTED)
    return Intents(schedules=schedules, clock=Clock(now=lambda: 0.0, wall=lambda: NOW, jitter=lambda: 0.5))


def store_of(*sessions: AgbSession) -> Store:
    store = Store()
    for session in sessions:
        store.put(session)
    return store


def claiming(name: str, *, namespace: str = "ml", age: float = 0, **fields: Any) -> AgbSession:
    """Build a resource that adopts session-1, `age` seconds older than NOW."""
    session = a_session(adopted=ID, name=name, namespace=namespace, uid=f"uid-{namespace}-{name}", created=later(-age))
    return replace(session, **fields)
