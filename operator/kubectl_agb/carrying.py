"""One command that changes sessions, from its words to its exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agb_operator.model.resource import ObjectKey

from .changing import Changes, Outcome
from .cluster import Cluster, connected
from .errors import Failed, NotInEffect, TimedOut, WrongUsage
from .orders import Verb, read_order
from .output import progress, say, write_objects
from .targets import Targets
from .times import read_duration, read_zone
from .told import Told, failed_object, summary
from .waiting import End, Wait


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What was said."""

    verb: Verb
    targets: Targets
    lasting: str = ""
    until: str = ""
    reason: str = ""
    zone_name: str = ""
    wait: bool = False
    timeout: str = "10m"
    agreed: bool = False
    dry_run: str = ""
    output: str = "table"

    async def run(self) -> None:
        """Carry it out.

        Raises:
            Ending: not all of it was done, or is in effect.
        """
        zone = read_zone(self.zone_name)
        self.targets.check()
        if self.wait and self.dry_run:
            raise WrongUsage("--wait does not go with --dry-run: nothing will change")
        timeout = read_duration(self.timeout, "--timeout").total_seconds()
        where = self.targets.where
        async with connected(where.namespace, where.context) as cluster:
            found = await self.targets.find(cluster, agreed=self.agreed)
            order = read_order(
                self.verb,
                lasting=self.lasting,
                until=self.until,
                reason=self.reason,
                zone=zone,
                now=cluster.now(),
                agreed=self.agreed,
            )
            changes = Changes(cluster=cluster, order=order, dry_run=self.dry_run)
            failures = [each.message for each in found if isinstance(each, Failed)]
            told: list[Told] = []
            objects: list[Mapping[str, Any]] = [{"changed": False, "error": failure} for failure in failures]
            async for outcome in changes.run([each for each in found if not isinstance(each, Failed)]):
                if outcome.session is None:
                    failures.append(f"{outcome.key}: {outcome.failure}")
                    objects.append(failed_object(outcome))
                    continue
                told.append(self._told(outcome, changes, cluster, zone))
                objects.append({**told[-1].as_object(), **self._dry()})
                if self.output == "table":
                    progress("")
                    say(told[-1].line() + self._in_vain)
                    progress(f"{len(told) + len(failures)} of {len(found)}" if len(found) > 1 else "")
            progress("")
            ends = await self._wait(cluster, told, timeout) if self.wait else {}
        if self.output != "table":
            write_objects(objects, self.output)
        self._end(told, failures, ends)

    def _told(self, outcome: Outcome, changes: Changes, cluster: Cluster, zone: Any) -> Told:
        assert outcome.session is not None
        schedules, refused = changes.schedules[outcome.key.namespace]
        return Told(
            outcome=outcome,
            session=outcome.session,
            order=changes.order,
            schedules=schedules,
            refused=refused,
            now=cluster.now(),
            zone=zone,
            many=self.targets.where.everywhere,
        )

    @property
    def _in_vain(self) -> str:
        return f" ({self.dry_run} dry run)" if self.dry_run else ""

    def _dry(self) -> Mapping[str, Any]:
        return {"dryRun": self.dry_run} if self.dry_run else {}

    async def _wait(self, cluster: Cluster, told: Sequence[Told], timeout: float) -> Mapping[ObjectKey, End]:
        awaited = [each for each in told if each.in_effect]
        wait = Wait(
            cluster=cluster,
            wanted={each.session.key: each.intent.state for each in awaited},
            generations={each.session.key: each.session.generation for each in awaited},
            timeout=timeout,
            quiet=self.output != "table",
            many=self.targets.where.everywhere,
        )
        return await wait.run()

    def _end(self, told: Sequence[Told], failures: Sequence[str], ends: Mapping[ObjectKey, End]) -> None:
        many = len(told) + len(failures) > 1
        if self.output == "table" and many:
            say("\n".join(summary(len(told), failures)) + self._in_vain)
        if failures or End.FAILED in ends.values():
            raise Failed("" if many and self.output == "table" else "; ".join(failures))
        if late := [key for key, end in ends.items() if end == End.TIMED_OUT]:
            raise TimedOut(f"--wait: {len(late)} of {len(told)} not there in {self.timeout}; the change stands")
        if End.NEVER in ends.values() or not all(each.in_effect for each in told):
            raise NotInEffect
