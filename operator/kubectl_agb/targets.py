"""Which sessions a command is about: named one by one, by labels, or all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agb_operator.model.resource import AgbSession

from .cluster import Cluster
from .errors import Failed, WrongUsage
from .fleet import read_sessions
from .options import Where
from .selectors import parse_selector

MANY: Final = 20
"""More than these are changed only with --yes, unless they were named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """The words of the command line."""

    where: Where
    names: tuple[str, ...] = ()
    selector: str = ""
    everything: bool = False

    def check(self) -> None:
        """See that the words fit together.

        Raises:
            WrongUsage: they do not.
        """
        if sum(map(bool, (self.names, self.selector, self.everything))) != 1:
            raise WrongUsage("choose the AgbSessions: their names, or -l SELECTOR, or --all")
        check_names(self.names, self.where)
        parse_selector(self.selector)

    async def find(self, cluster: Cluster, *, agreed: bool) -> Sequence[AgbSession | Failed]:
        """Read the sessions; one that was named and cannot be read is a failure among them.

        Raises:
            WrongUsage: they are many, and nobody has `agreed` to that.
            Failed: they cannot be listed, or there are none.
        """
        if self.names:
            return [await _one(cluster, name) for name in dict.fromkeys(self.names)]
        scope = None if self.where.everywhere else cluster.namespace
        found = read_sessions(await cluster.sessions(scope, self.selector))
        if not found:
            raise Failed("there is no such AgbSession, so nothing was changed")
        if len(found) > MANY and not agreed:
            raise WrongUsage(f"these are {len(found):,} AgbSessions: add --yes if you mean all of them")
        return found


def check_names(names: Sequence[str], where: Where) -> None:
    """See that names say which sessions are meant.

    Raises:
        WrongUsage: they do not.
    """
    if names and where.everywhere:
        raise WrongUsage("-A does not go with names: the same name may be in many namespaces")


async def _one(cluster: Cluster, name: str) -> AgbSession | Failed:
    try:
        return AgbSession.from_body(await cluster.session(cluster.namespace, name))
    except Failed as error:
        return Failed(f"{cluster.namespace}/{name}: {error.message}")
