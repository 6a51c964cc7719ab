"""The sessions of all accounts and how they move: transitions, release, timeouts, lag.

Owns every change of a session. Each move is one agenda entry that is void once the session moved on, so
states are exact at any clock time without a task per session. Whether a call may make a move at all is
decided in `endpoints.py`; tests make moves from outside through `hooks.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from agb_simulator.accounts import Account, Keyring
from agb_simulator.clock import Agenda
from agb_simulator.sessions import Session, Status
from agb_simulator.settings import Settings


class World:
    """All there is. `random` names sessions; `run` must be called with the time before anything is read."""

    def __init__(self, *, settings: Settings, random: Random) -> None:
        self.settings = settings
        self.keys = Keyring()
        self.sessions: dict[str, Session] = {}
        self.created = 0
        self._random = random
        self._agenda = Agenda()

    def run(self, now: float) -> None:
        """Bring everything that was due by `now` about."""
        self._agenda.run(now)

    def later(self, when: float, do: Callable[[float], None]) -> None:
        """Have `do(when)` called at clock time `when`."""
        self._agenda.add(when, do)

    def configure(self, settings: Settings, now: float) -> None:
        """Take new settings; the timeouts of RUNNING sessions follow at once, moves under way keep their pace."""
        self.settings = settings
        for session in self.sessions.values():
            if session.status == Status.RUNNING:
                self._watch_timeouts(session, now)

    def find(self, session_id: str | None, account: Account) -> Session | None:
        """The session with this id if the account may see it."""
        session = self.sessions.get(session_id or "")
        return session if session is not None and session.account == account.name else None

    def create(
        self,
        account: Account,
        now: float,
        *,
        image_id: str,
        labels: Mapping[str, Any],
        status: str | None = None,
        session_id: str | None = None,
        idle_timeout: float | None = None,
    ) -> Session:
        """Add a session: CREATING or RUNNING as the settings say, or with a given status and id.

        Raises ValueError when the id is taken.
        """
        if session_id in self.sessions:
            raise ValueError(f"session {session_id} exists already")
        self.created += 1
        creating = self.settings.create_transition > 0
        session = Session(
            session_id=session_id or f"session-{self.token()}",
            number=self.created,
            account=account.name,
            image_id=image_id,
            app_instance_id=f"ai-{self.created}",
            resource_id=f"p-{self.created}",
            labels={},
            status=status or (Status.CREATING if creating else Status.RUNNING),
            created_at=now,
            idle_timeout=idle_timeout,
        )
        self.sessions[session.session_id] = session
        if session.live:
            account.live += 1
            account.add(session)
        self.set_labels(session, labels, now)
        if session.status == Status.RUNNING:
            self._start_timeouts(session, now)
        elif status is None:
            self._move_later(session, Status.RUNNING, now + self.settings.create_transition)
        return session

    def set_labels(self, session: Session, labels: Mapping[str, Any], now: float) -> None:
        """Replace the whole label set; ListSession's filter sees it `label_lag` later."""
        session.label(labels, now)

        def show(_: float) -> None:
            if session.live and session.labels is labels:
                self._account(session).relabel(session, labels)

        if self.settings.label_lag:
            self.later(now + self.settings.label_lag, show)
        else:
            show(now)

    def transit(self, session: Session, via: Status, to: str | None, *, seconds: float, now: float) -> None:
        """Start a move through `via` that ends in `to` after `seconds`, or never if `to` is None."""
        session.stale = None
        self.move(session, via, now)
        if to is not None:
            self._move_later(session, to, now + seconds)

    def release(self, session: Session, now: float, *, seconds: float | None = None, ends: bool = True) -> None:
        """Start the release of a session in whatever state: DELETING, then FINISH, then not found.

        `seconds` overrides how long it is DELETING; `ends=False` leaves it there.
        """
        session.stale = None
        self.move(session, Status.DELETING, now)
        if not ends:
            return
        move = session.move
        took = self.settings.release_seconds if seconds is None else seconds

        def finish(at: float) -> None:
            if session.move != move:
                return
            if self.settings.finish_for == 0:
                self.vanish(session, at)
            else:
                self.move(session, self.settings.released_status, at)
                self.forget(session, at)

        self.later(now + took, finish)

    def act(self, session: Session, action: str, now: float) -> bool:
        """Do what somebody else may do to a session: pause, resume, release, vanish.

        Release and vanish work in every state; False means a pause or resume that was not possible.
        """
        match action:
            case "pause" if session.status == Status.RUNNING:
                self.transit(session, Status.PAUSING, Status.PAUSED, seconds=self.settings.transition, now=now)
            case "resume" if session.status == Status.PAUSED:
                self.transit(session, Status.RESUMING, Status.RUNNING, seconds=self.settings.transition, now=now)
            case "release":
                self.release(session, now)
            case "vanish":
                self.vanish(session, now)
            case _:
                return False
        return True

    def forget(self, session: Session, now: float) -> None:
        """Let a released session be not found once FINISH was shown for as long as the settings say."""
        if self.settings.finish_for is None:
            return
        move = session.move

        def vanish(at: float) -> None:
            if session.move == move:
                self.vanish(session, at)

        self.later(now + self.settings.finish_for, vanish)

    def vanish(self, session: Session, now: float) -> None:
        """Make a session not found, at once and for good."""
        was_live = session.live
        session.gone = True
        session.move += 1
        self.sessions.pop(session.session_id, None)
        if was_live:
            self._leave(session, now)

    def move(self, session: Session, status: str, now: float) -> None:
        """Put a session into a status, any word; what was under way is void."""
        was_live = session.live
        session.become(status, now)
        if was_live and not session.live:
            self._leave(session, now)
        elif session.live and not was_live:
            self._account(session).live += 1
            self._account(session).add(session)
            self.set_labels(session, session.labels, now)
        if status == Status.RUNNING:
            self._start_timeouts(session, now)

    def touch(self, session: Session, now: float) -> None:
        """Reset the idle timer: somebody used the session."""
        session.touched_at = now

    def statuses(self) -> dict[str, int]:
        """How many sessions there are in each status, released ones included while still known."""
        return dict(Counter(session.status for session in self.sessions.values()))

    def token(self) -> str:
        """Twelve random hex digits, from the seeded source."""
        return f"{self._random.getrandbits(48):012x}"

    def _account(self, session: Session) -> Account:
        return self.keys.accounts[session.account]

    def _leave(self, session: Session, now: float) -> None:
        account = self._account(session)
        account.live -= 1
        account.remove(session, now)

    def _move_later(self, session: Session, status: str, when: float) -> None:
        move = session.move

        def arrive(at: float) -> None:
            if session.move == move:
                self.move(session, status, at)

        self.later(when, arrive)

    def _start_timeouts(self, session: Session, now: float) -> None:
        session.touched_at = session.running_since = now
        self._watch_timeouts(session, now)

    def _watch_timeouts(self, session: Session, now: float) -> None:
        move, due = session.move, self._timeout_at(session)
        if due is None:
            return

        def strike(at: float) -> None:
            if session.move != move:
                return
            later = self._timeout_at(session)
            if later is not None and later <= at:
                self.release(session, at)
            elif later is not None:
                self.later(later, strike)

        self.later(max(due, now), strike)

    def _timeout_at(self, session: Session) -> float | None:
        idle = self.settings.idle_timeout if session.idle_timeout is None else session.idle_timeout
        lifetime = self.settings.max_lifetime
        ends: list[float] = []
        if idle is not None:
            ends.append(session.touched_at + idle)
        if lifetime is not None:
            ends.append(session.running_since + lifetime)
        return min(ends) + self.settings.timeout_lag if ends else None
