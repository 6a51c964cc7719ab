"""Where a plan comes from: what is to be looked at, read from files and the cluster, and followed through its time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from agb_operator.policy.schedule import FAR

from . import picture
from .cluster import connected
from .errors import WrongUsage
from .fleet import Manifests, by_namespace, named, overlaid, read_files, read_sessions, without
from .forecast import Forecast, Member
from .options import Where
from .selectors import parse_selector
from .targets import check_names
from .times import read_coming, read_time

_USUAL: Final = timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was asked for, in the words of the command line."""

    where: Where
    names: tuple[str, ...] = ()
    selector: str = ""
    at: str = ""
    begin: str = ""
    until: str = ""
    week: bool = False
    files: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()

    def check(self) -> None:
        """See that the words fit together.

        Raises:
            WrongUsage: they do not.
        """
        if self.names and self.selector:
            raise WrongUsage("name the sessions, or use -l: not both")
        check_names(self.names, self.where)
        if sum(map(bool, (self.at, self.begin or self.until, self.week))) > 1:
            raise WrongUsage("use only one of --at, --week, and --from with --until")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A plan.

    Attributes:
        alone: whether all came from files, and no cluster was asked.
    """

    forecast: Forecast
    members: Sequence[Member]
    alone: bool


async def plan(request: Request, zone: tzinfo) -> Found:
    """Read what is needed, and work it out.

    Raises:
        Failed: the cluster cannot be read, or there is no such session.
        WrongUsage: what was asked for makes no sense.
    """
    request.check()
    selector = parse_selector(request.selector)
    given = read_files(request.files) if request.files else Manifests()
    alone = bool(given.sessions and given.schedules)
    if alone:
        namespace = request.where.namespace or "default"
        given = given.within(namespace)
        sessions, schedules, now = given.sessions, given.schedules, datetime.now(UTC)
    else:
        async with connected(request.where.namespace, request.where.context) as cluster:
            namespace = cluster.namespace
            given = given.within(namespace)
            scope = None if request.where.everywhere else namespace
            known = await cluster.sessions(scope), await cluster.schedules(scope)
            now = cluster.now()
        sessions, schedules = overlaid(known[0], given.sessions), overlaid(known[1], given.schedules)
    scope = None if request.where.everywhere else namespace
    if request.delete:
        schedules = without(schedules, request.delete, scope)
    picked = [each for each in read_sessions(sessions) if scope in (None, each.key.namespace)]
    picked = named(picked, request.names, namespace) if request.names else picked
    begin, end = _time(request, zone, now)
    forecast = Forecast(now=now, begin=begin, end=end, schedules=by_namespace(schedules))
    return Found(
        forecast=forecast,
        members=forecast.of(each for each in picked if selector.matches(each.object_labels)),
        alone=alone,
    )


def _time(request: Request, zone: tzinfo, now: datetime) -> tuple[datetime, datetime]:
    if request.week:
        return now, picture.midnight(picture.week(now, zone)[-1] + timedelta(days=1), zone)
    if request.at:
        at = read_coming(request.at, "--at", zone=zone, now=now)
        return _near(at, "--at", now), at
    begin = read_coming(request.begin, "--from", zone=zone, now=now) if request.begin else now
    end = read_time(request.until, "--until", zone=zone, now=now) if request.until else begin + _USUAL
    if end <= begin:
        if begin == now:
            read_coming(request.until, "--until", zone=zone, now=now)
        raise WrongUsage(f"--until {request.until} is not after --from {request.begin}")
    return begin, _near(end, "--until", now)


def _near(moment: datetime, option: str, now: datetime) -> datetime:
    if moment > now + FAR:
        raise WrongUsage(f"{option}: the clock is followed for {FAR.days} days, and no further")
    return moment
