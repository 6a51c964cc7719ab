"""Operators with a bug planted in them, for runs that must turn red: `python -m chaos.planted BUG run ...`.

Each bug takes away one of the rules that the operator's promise rests on. Nothing of this is in the product.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from agb_operator.__main__ import main
from agb_operator.agb.batching import BatchedObserver
from agb_operator.agb.client import SessionClient
from agb_operator.control import reconciler
from agb_operator.kube.cluster import Cluster
from agb_operator.model.states import Observation, state_of
from agb_operator.policy import decide as plan
from agb_operator.policy.plan import Action, Input, Plan


def no_look() -> None:
    """Believe what the status says of a settled session instead of looking at it before acting."""
    look = BatchedObserver.observe
    believed: dict[str, str] = {}
    pass_over = reconciler.Reconciler.reconcile

    async def reconcile(self: reconciler.Reconciler, key: Any) -> float | None:
        session = self.store.get(key)
        if session is not None:
            believed[session.session_id] = session.status.session_status
        return await pass_over(self, key)

    async def observe(self: BatchedObserver, client: SessionClient, session_id: str, **how: Any) -> Observation:
        seen = await look(self, client, session_id, **how)
        word = believed.get(session_id, "")
        return replace(seen, status=word, state=state_of(word)) if word in ("RUNNING", "PAUSED") else seen

    _replace(reconciler.Reconciler, "reconcile", reconcile)
    _replace(BatchedObserver, "observe", observe)


def unguarded_status() -> None:
    """Write a status over whatever version of the object there is."""

    async def patch_status(
        self: Cluster, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        path = "/apis/agb.cloud/v1alpha1/namespaces/{namespace}/agbsessions/{name}/status"
        return await self._patch(path, namespace, name, {"status": patch})

    _replace(Cluster, "patch_status", patch_status)


def early_finalizer() -> None:
    """Take the finalizer off before the session is released."""
    decide = plan.before_looking

    def before_looking(given: Input) -> Plan | None:
        if given.session.deleting and given.session.has_finalizer:
            return Plan(action=Action.REMOVE_FINALIZER)
        return decide(given)

    _replace(reconciler, "before_looking", before_looking)


BUGS: Mapping[str, Callable[[], None]] = {
    "no-look": no_look,
    "unguarded-status": unguarded_status,
    "early-finalizer": early_finalizer,
}


def _replace(owner: Any, name: str, by: Any) -> None:
    assert hasattr(owner, name), f"the bug has nowhere to go: {owner} has no {name}"
    setattr(owner, name, by)


if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    main()
