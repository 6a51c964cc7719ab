"""What is known of one session and of those who speak for it, read from the cluster."""

import asyncio
from datetime import tzinfo

from agb_operator.model.resource import AgbSession
from agb_operator.policy.intent import Schedules

from .chain import Chain
from .cluster import Cluster, connected
from .errors import Failed
from .fleet import by_namespace
from .options import Where


def ask(where: Where, name: str, zone: tzinfo) -> Chain:
    """Read a session and the schedules of its namespace.

    Raises:
        Failed: there is no such session, or it cannot be read.
    """
    return asyncio.run(_ask(where, name, zone))


async def _ask(where: Where, name: str, zone: tzinfo) -> Chain:
    async with connected(where.namespace, where.context) as cluster:
        session = AgbSession.from_body(await cluster.session(cluster.namespace, name))
        schedules, refused = await schedules_of(cluster, cluster.namespace)
        return Chain(session=session, schedules=schedules, now=cluster.now(), zone=zone, refused=refused)


async def schedules_of(cluster: Cluster, namespace: str) -> tuple[Schedules, str]:
    """Read the schedules of a namespace; without the right to, say what is missing."""
    try:
        found = by_namespace(await cluster.schedules(namespace))
    except Failed as error:
        return Schedules(readable=False), error.message
    return found.get(namespace, Schedules()), ""
