"""Why a session is as it is: everybody who has a say, what each says, and who decides; in words for people."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple

from agb_operator.model.override import Override
from agb_operator.model.resource import AgbSession
from agb_operator.model.states import DesiredState
from agb_operator.model.status import Phase, Reason, Truth, parse_timestamp, timestamp
from agb_operator.policy.intent import (
    DEFAULT,
    OVERRIDE,
    SCHEDULE,
    SPEC,
    Intent,
    Schedules,
    Subject,
    Voice,
    decide,
    hear,
)

from .output import paragraph
from .times import day_and_time, shown

_DECIDES: Final = "  <- decides"


class Say(NamedTuple):
    """One line of the chain.

    Attributes:
        who: `deletion`, `override`, `spec.paused` or `schedule`.
        name: of the schedule.
        says: for people.
    """

    who: str
    name: str
    says: str
    decides: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """Everything about one session at one moment.

    Attributes:
        refused: why the schedules cannot be read, "" if they can.
    """

    session: AgbSession
    schedules: Schedules
    now: datetime
    zone: tzinfo
    refused: str = ""

    @property
    def intent(self) -> Intent:
        """What is wanted now."""
        return decide(Subject.of(self.session), self.schedules, self.now)

    def says(self) -> Iterator[Say]:
        """Give the chain, from those who are heard first."""
        session, why, deleting = self.session, self.intent.why, self.session.deleting
        yield Say("deletion", "", "yes: the session goes" if deleting else "no", deleting)
        yield Say("override", "", self._override(session.override), why == OVERRIDE and not deleting)
        asks = "true: Paused" if session.paused else "false: asks for nothing"
        yield Say("spec.paused", "", asks, why == SPEC and not deleting)
        if self.refused:
            yield Say("schedules", "", f"cannot be read: {self.refused}", why.startswith(SCHEDULE) and not deleting)
            return
        voices = hear(Subject.of(session), self.schedules, self.now)
        for voice in sorted(voices, key=lambda voice: voice.schedule.name):
            name = voice.schedule.name
            yield Say("schedule", name, self._voice(voice), why == SCHEDULE + name and not deleting)
        if not voices:
            yield Say("schedules", "", "none selects this session", False)

    def _override(self, override: Override | None) -> str:
        if override is None:
            return "none"
        reason = f" ({override.reason})" if override.reason else ""
        if not override.holds(self.now):
            return f"over since {self._shown(override.until)}{reason}"
        return f"{override.state} until {self._shown(override.until)}{reason}"

    def _voice(self, voice: Voice) -> str:
        if voice.schedule.problem:
            return f"cannot be used: {voice.schedule.problem}"
        until = f" until {self._shown(voice.until)}" if voice.until else ""
        return ("Paused" if voice.asks else "nothing") + until

    def _shown(self, moment: datetime) -> str:
        return shown(moment, self.zone)

    # Sentences

    def heading(self) -> str:
        """Say what is so."""
        session, status = self.session, self.session.status
        phase = str(status.phase or Phase.PENDING)
        since = status.paused.last_transition_time if phase in (Phase.PAUSED, Phase.RUNNING) else ""
        moment = parse_timestamp(since)
        parts = [str(session.key), session.session_id or "no session yet"]
        return (
            "  ".join(parts)
            + f"  is {phase}, {self._as_wanted()}"
            + (f", since {day_and_time(moment, self.zone)}" if moment else "")
        )

    def _as_wanted(self) -> str:
        phase, wanted = self.session.status.phase, self.intent.state
        if wanted == DesiredState.GONE:
            return "on its way out"
        return "as wanted" if phase is not None and str(phase) == str(wanted) else f"while {wanted} is wanted"

    def wanted(self) -> str:
        """Say what is wanted and what comes next."""
        intent = self.intent
        if intent.state == DesiredState.GONE:
            return "Wanted: nothing, it is being deleted."
        change = intent.shown
        following = f"Next: {change.state} at {timestamp(change.at)}." if change else "The clock changes nothing."
        return f"Wanted: {intent.state} ({intent.why}). {following}"

    def conditions(self) -> Iterator[str]:
        """Give the conditions as they are in the status, and the last operation."""
        status = self.session.status
        for condition in status.conditions:
            yield f"{condition.type}={condition.status} {condition.reason}: {condition.message}"
        operation = status.operation
        if operation is not None:
            ended = operation.finished_at or operation.started_at
            attempts = f", attempt {operation.attempts}" if operation.attempts > 1 else ""
            message = f": {operation.message}" if operation.message else ""
            yield f"last operation {operation.type} {operation.state}{attempts}, {self._shown(ended)}{message}"

    def next_step(self) -> Iterator[tuple[str, str]]:
        """Give commands that change it, each with what it does."""
        key, intent = self.session.key, self.intent
        here = f"{key.name} -n {shlex.quote(key.namespace)}"
        if intent.state == DesiredState.GONE:
            return
        stuck = obstacle(self.session, intent.state)
        if stuck:
            yield "Nothing brings it there", stuck
        elif self.session.status.observed_generation < 0:
            yield (
                "The operator has not looked at it yet",
                "kubectl get deployments -A -l app.kubernetes.io/name=agb-operator",
            )
        if intent.state == DesiredState.PAUSED:
            longer = intent.why == DEFAULT or intent.why.startswith(SCHEDULE) or intent.why == OVERRIDE
            yield (
                "To wake it sooner" if longer else "To wake it",
                f"kubectl agb resume {here}"
                + ("" if intent.why == SPEC and not self._sleeps_anyway() else " --for 2h"),
            )
        else:
            yield "To pause it", f"kubectl agb pause {here}"
        if intent.why in (OVERRIDE, SPEC):
            yield "To let the clock decide again", f"kubectl agb auto {here}"

    def _sleeps_anyway(self) -> bool:
        voices = hear(Subject.of(self.session), self.schedules, self.now)
        return self.refused != "" or any(voice.asks or voice.schedule.problem for voice in voices)

    def as_object(self) -> dict[str, Any]:
        """Give all of it for programs."""
        session, intent = self.session, self.intent
        return {
            "namespace": session.key.namespace,
            "name": session.key.name,
            "sessionId": session.session_id,
            "phase": str(session.status.phase or Phase.PENDING),
            **wanted_object(intent),
            "chain": [
                {"who": say.who, **({"name": say.name} if say.name else {}), "says": say.says, "decides": say.decides}
                for say in self.says()
            ],
            "conditions": list(self.conditions()),
            "nextSteps": [command for _, command in self.next_step()],
        }


def wanted_object(intent: Intent) -> dict[str, Any]:
    """Give what is wanted, why, and what comes next, for programs."""
    change = intent.shown
    return {
        "wanted": str(intent.state),
        "why": intent.why,
        "nextChange": {"at": timestamp(change.at), "state": str(change.state)} if change else None,
    }


def obstacle(session: AgbSession, wanted: DesiredState) -> str:
    """Say why a session will not become as it is wanted until somebody does something; "" if it may."""
    ready, phase = session.status.ready, session.status.phase
    if session.deleting:
        return "it is being deleted"
    if session.observe_only:
        return "managementPolicy: Observe only reports; set it to Manage"
    current = ready.observed_generation == session.generation or ready.reason == Reason.SESSION_CONFLICT
    if ready.status == Truth.TRUE or not current:
        lost = phase == Phase.LOST
    else:
        if ready.reason == Reason.SESSION_CONFLICT:
            return "another AgbSession manages this session: " + ready.message
        lost = phase == Phase.LOST or ready.reason == Reason.SESSION_NOT_FOUND
    if lost and not (session.recreate and wanted == DesiredState.RUNNING):
        return "AGB no longer has the session"
    return ""


def lines(chain: Chain) -> Iterator[str]:
    """Write the answer to `why` for people."""
    yield chain.heading()
    says = list(chain.says())
    who, name = (max(len(getattr(say, part)) for say in says) for part in ("who", "name"))
    for say in says:
        parts = [say.who.ljust(who), say.name.ljust(name), say.says] if say.name else [say.who.ljust(who), say.says]
        yield "  " + "  ".join(parts) + (_DECIDES if say.decides else "")
    yield chain.wanted()
    for condition in chain.conditions():
        yield paragraph(f"  {condition}", indent=4)
    for does, command in chain.next_step():
        yield f"{does}:  {command}"
