"""What is wanted of a session now, why, and until when: decided from its spec, the schedules and the clock alone.

From top to bottom, the first that speaks decides: deletion, an override in force, `spec.paused`, any schedule that
asks, nothing. Nothing is remembered and nothing is fired, so a night without an operator is made up for by asking
again. Where schedules cannot be used or read, nobody wakes for that: see `_keeps`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from ..model.override import Override
from ..model.resource import AgbSession
from ..model.states import DesiredState
from ..model.status import NextChange
from .schedule import FAR, Schedule

OVERRIDE: Final = "Override"
SPEC: Final = "Spec"
DEFAULT: Final = "Default"
SCHEDULE: Final = "Schedule/"
"""What `why` begins with when a schedule decides; its name follows."""

_TOMORROW: Final = timedelta(days=1)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """The session that is asked about.

    Attributes:
        uid: of the AgbSession, for its share of a spread; "" for one that is not in a cluster.
        labels: its `metadata.labels`.
        desired_state, why, next_change: what its status says now; "" and None if it says nothing.
    """

    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    paused: bool = False
    override: Override | None = None
    desired_state: str = ""
    why: str = ""
    next_change: NextChange | None = None

    @classmethod
    def of(cls, session: AgbSession) -> "Subject":
        """Take from a resource what counts."""
        status = session.status
        return cls(
            uid=session.uid,
            labels=session.object_labels,
            deleting=session.deleting,
            paused=session.paused,
            override=session.override,
            desired_state=status.desired_state,
            why=status.why,
            next_change=status.next_change,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedules:
    """All that is known of the schedules of one namespace.

    Attributes:
        existing: the schedules that there are.
        deleted: those deleted a moment ago, of whose name there is no other: nobody wakes for that yet.
        readable: whether schedules can be read; if not, the two lists do not count.
    """

    existing: Sequence[Schedule] = ()
    deleted: Sequence[Schedule] = ()
    readable: bool = True


NO_SCHEDULES: Final = Schedules()


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What is wanted of a session.

    Attributes:
        state: Running, Paused, or Gone while the session is being deleted.
        why: Default, Spec, Override or Schedule/NAME, as in `status.why`.
        next_change: as in `status.nextChange`; None if the clock alone never changes `state`, or not within 400 days.
        look_again: when to decide again, if nothing else changes before; None if time alone makes no difference.
        kept: nobody is heard to ask for the pause; it goes on because schedules cannot be used or read.
    """

    state: DesiredState
    why: str
    next_change: NextChange | None
    look_again: datetime | None
    kept: bool = False

    @property
    def shown(self) -> NextChange | None:
        """`next_change` in whole seconds, as a status holds it."""
        change = self.next_change
        return change and replace(change, at=change.at.replace(microsecond=0))


class Voice(NamedTuple):
    """What one schedule says of a session, with the session's share of `spread` already in the times.

    Attributes:
        until: when that changes; None if not within 400 days.
        gone: it was deleted a moment ago.
    """

    schedule: Schedule
    asks: bool
    since: datetime | None
    until: datetime | None
    gone: bool = False


def decide(subject: Subject, schedules: Schedules, now: datetime) -> Intent:
    """Say what is wanted of a session now, why, and until when."""
    if subject.deleting:
        return Intent(state=DesiredState.GONE, why=subject.why, next_change=subject.next_change, look_again=None)
    hearing = _Hearing(subject, schedules)
    voices = hearing.voices(now)
    # A schedule that is gone keeps asleep who sleeps, and sends nobody to sleep.
    heard = [voice for voice in voices if not voice.gone or subject.desired_state == DesiredState.PAUSED]
    state, why = hearing.wanted(now, heard, subject.desired_state, subject.why)
    spoken = subject.paused or why == OVERRIDE or any(voice.asks for voice in heard)
    return Intent(
        state=state,
        kept=state == DesiredState.PAUSED and not spoken,
        why=why,
        next_change=hearing.next_change(now, voices, state, why),
        look_again=hearing.look_again(now, voices),
    )


class Wanted(NamedTuple):
    """What is wanted from a moment on, and why."""

    at: datetime
    state: DesiredState
    why: str


def follow(subject: Subject, schedules: Schedules, now: datetime, until: datetime) -> Iterator[Wanted]:
    """Yield what is wanted now, and then what `decide` would say at each moment at which the clock changes that.

    It ends at `until`, 400 days ahead at most, or where the clock has no more to say.
    """
    intent = decide(subject, schedules, now)
    yield Wanted(now, intent.state, intent.why)
    if not subject.deleting:
        hearing = _Hearing(subject, schedules)
        yield from hearing.walk(now, hearing.voices(now), intent.state, intent.why, min(until, now + FAR))


def hear(subject: Subject, schedules: Schedules, now: datetime) -> tuple[Voice, ...]:
    """Give what each schedule that selects the session says of it, those that cannot be used included."""
    hearing = _Hearing(subject, schedules)
    return tuple(hearing.voices(now) + [_voice(schedule, False, timedelta(0), now) for schedule in hearing.unusable])


class _Hearing:
    """Everybody who has a say about one session."""

    __slots__ = ("_override", "_paused", "_readable", "_usable", "unusable")

    def __init__(self, subject: Subject, schedules: Schedules) -> None:
        self._override = subject.override
        self._paused = subject.paused
        self._readable = schedules.readable
        self._usable: list[tuple[Schedule, bool, timedelta]] = []
        self.unusable: list[Schedule] = []
        everybody: list[tuple[Schedule, bool]] = []
        if schedules.readable:
            everybody += ((schedule, False) for schedule in schedules.existing)
            everybody += ((schedule, True) for schedule in schedules.deleted)
        for schedule, gone in everybody:
            if not schedule.selects(subject.labels):
                continue
            if schedule.problem:
                self.unusable.append(schedule)
            else:
                self._usable.append((schedule, gone, schedule.share(subject.uid)))

    def voices(self, at: datetime) -> list[Voice]:
        """What those say at an instant that can be used."""
        return [_voice(schedule, gone, share, at) for schedule, gone, share in self._usable]

    def wanted(self, at: datetime, voices: list[Voice], state: str, why: str) -> tuple[DesiredState, str]:
        """Apply the order of precedence; `state` and `why` are what was wanted until now."""
        if self._override is not None and self._override.holds(at):
            return self._override.state, OVERRIDE
        if self._paused:
            return DesiredState.PAUSED, SPEC
        asking = [voice for voice in voices if voice.asks]
        if asking:
            return DesiredState.PAUSED, SCHEDULE + _longest(asking).schedule.name
        if state == DesiredState.PAUSED and self._keeps(why):
            return DesiredState.PAUSED, self._keeper(why)
        return DesiredState.RUNNING, DEFAULT

    def next_change(self, now: datetime, voices: list[Voice], state: DesiredState, why: str) -> NextChange | None:
        """Follow the clock until something else is wanted."""
        for step in self.walk(now, voices, state, why, now + FAR):
            if step.state != state:
                return NextChange(at=step.at, state=step.state)
        return None

    def walk(
        self, at: datetime, voices: list[Voice], state: DesiredState, why: str, until: datetime
    ) -> Iterator[Wanted]:
        """Go from change to change: of the state, or of who decides."""
        while (turn := self._turn(at, voices, state, why)) is not None and turn <= until:
            at, voices = turn, self.voices(turn)
            before = state, why
            state, why = self.wanted(at, voices, state, why)
            if (state, why) != before:
                yield Wanted(at, state, why)

    def look_again(self, now: datetime, voices: list[Voice]) -> datetime | None:
        """The first moment at which anything of the intent may differ by the clock alone."""
        if self._override is not None and self._override.holds(now):
            return self._override.until
        if self._paused:
            return None
        # A change further away than 400 days is shown as soon as it is not.
        moments = [voice.until or now + _TOMORROW for voice in voices]
        return min((moment for moment in moments if moment > now), default=None)

    def _turn(self, at: datetime, voices: list[Voice], state: DesiredState, why: str) -> datetime | None:
        """The first moment after `at` at which something else may be wanted; None if there is none."""
        if self._override is not None and self._override.holds(at):
            return self._override.until
        if self._paused or (state == DesiredState.PAUSED and self._keeps(why)):
            return None
        if state == DesiredState.PAUSED:  # nobody wakes before the last of those that ask has stopped
            ends = [voice.until for voice in voices if voice.asks]
            return None if None in ends else max((end for end in ends if end is not None), default=None)
        return min((voice.until for voice in voices if voice.until is not None), default=None)

    def _keeps(self, why: str) -> bool:
        """Whether one who sleeps stays asleep although nobody is heard to ask for it (fail static).

        So it is while a schedule that selects it cannot be used, or none can be read: nobody wakes because of a typo
        or a missing right, and not because another schedule or an override ends meanwhile. What people do counts: one
        that `spec.paused` or an override had put to sleep wakes when that is taken back.
        """
        if self._readable and not self.unusable:
            return False
        lapsed = self._override is not None and self._override.state == DesiredState.PAUSED
        return why.startswith(SCHEDULE) or (why == OVERRIDE and lapsed)

    def _keeper(self, why: str) -> str:
        """The name of what keeps it asleep: as before if it can be that, so that nothing is written."""
        names = sorted(SCHEDULE + schedule.name for schedule in self.unusable)
        return why if not names or why in names else names[0]


def _voice(schedule: Schedule, gone: bool, share: timedelta, at: datetime) -> Voice:
    asks, since, until = schedule.span(at - share)
    since = None if since is None else since + share
    return Voice(schedule, asks, since, None if until is None else until + share, gone)


def _longest(asking: list[Voice]) -> Voice:
    """Of those that ask, the one that asks longest; of equals the one that began first, then by name."""
    end = max(voice.until or _NEVER for voice in asking)
    equals = [voice for voice in asking if (voice.until or _NEVER) == end]
    return min(equals, key=lambda voice: (voice.since is not None, voice.since, voice.schedule.name))
