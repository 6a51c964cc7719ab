"""What people ask for (asleep, awake, as the clock says), and the patch that says it; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, Final

from agb_operator.model.override import Override
from agb_operator.model.resource import AgbSession
from agb_operator.model.states import DesiredState
from agb_operator.model.status import timestamp

from .errors import WrongUsage
from .times import read_coming, read_duration

LONG: Final = timedelta(days=7)
"""An override that lasts longer is asked about: what was meant may be `paused`."""
_LONGEST: Final = timedelta(days=3650)
_REASON: Final = 256
"""Characters of a reason, as the CRD has it."""


class Verb(StrEnum):
    """The verbs that change a session."""

    PAUSE = "pause"
    RESUME = "resume"
    AUTO = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One verb with its time.

    Attributes:
        until: None says it for good.
    """

    verb: Verb
    until: datetime | None = None
    reason: str = ""

    @property
    def state(self) -> DesiredState | None:
        """What is asked for; None leaves it to the clock."""
        return {Verb.PAUSE: DesiredState.PAUSED, Verb.RESUME: DesiredState.RUNNING}.get(self.verb)

    def depends_on(self, session: AgbSession) -> bool:
        """Tell whether the patch is right for this version of the object only."""
        return self.verb == Verb.RESUME and self.until is None and session.override is not None

    def applied(self, session: AgbSession) -> AgbSession:
        """Give the session as the patch leaves it."""
        if self.until is not None and self.state is not None:
            return replace(session, override=Override(state=self.state, until=self.until, reason=self.reason))
        kept = session.override if self.verb == Verb.RESUME and not _asleep(session) else None
        return replace(session, paused=self.verb == Verb.PAUSE, override=kept)

    def patch(self, session: AgbSession) -> Mapping[str, Any]:
        """Give the merge patch of the spec."""
        if self.until is not None:
            reason = {"reason": self.reason} if self.reason else {}
            # Null removes the reason of an override before: a merge patch would keep it.
            override = {"state": str(self.state), "until": timestamp(self.until), "reason": None, **reason}
            return {"spec": {"override": override}}
        if self.verb == Verb.PAUSE:
            return {"spec": {"paused": True, "override": None}}
        if self.verb == Verb.AUTO:
            return {"spec": {"paused": None, "override": None}}
        return {"spec": {"paused": False, **({"override": None} if _asleep(session) else {})}}


def _asleep(session: AgbSession) -> bool:
    return session.override is not None and session.override.state == DesiredState.PAUSED


def read_order(
    verb: Verb, *, lasting: str, until: str, reason: str, zone: tzinfo, now: datetime, agreed: bool
) -> Order:
    """Read `--for`, `--until` and `--reason`; `agreed` is `--yes`.

    Raises:
        WrongUsage: they are wrong.
    """
    if lasting and until:
        raise WrongUsage("use --for or --until, not both")
    if reason and not (lasting or until):
        raise WrongUsage("--reason goes with --for or --until: it is kept in spec.override")
    if (not reason.strip() and reason) or len(reason) > _REASON:
        raise WrongUsage(f"--reason: say why in 1 to {_REASON} characters, or leave it out")
    if not (lasting or until):
        return Order(verb=verb)
    if lasting:
        duration = read_duration(lasting, "--for")
        if duration > _LONGEST:
            raise WrongUsage(f"--for {lasting}: {_LONGEST.days} days are the most; without a time it holds for good")
        end = now + duration
    else:
        end = read_coming(until, "--until", zone=zone, now=now)
    if end - now > LONG and not agreed:
        said = f"--for {lasting}" if lasting else f"--until {until}"
        raise WrongUsage(f"{said} is more than {LONG.days} days away: add --yes if you mean it")
    return Order(verb=verb, until=end.replace(microsecond=0), reason=reason)
