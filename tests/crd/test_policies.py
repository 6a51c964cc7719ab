"""The admission policies of examples/policies, applied to a real API server and tried in one namespace of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from crd.api import agb_schedule, agb_session
from e2e.stack import eventually
from kubectl import Answer, Kubectl

POLICIES = Path(__file__).resolve().parents[2] / "examples" / "policies"
UNTIL = "2026-11-25T22:00:00Z"
TIMES = {"timeZone": "UTC", "pauseAt": "0 20 * * *", "resumeAt": "0 7 * * 1-5"}


class Place:
    """A namespace of its own for each test: the API server takes a moment to forget a policy that is gone."""

    def __init__(self, kubectl: Kubectl, stack: ExitStack) -> None:
        self.namespace = f"policy-{uuid4()}"
        self.kubectl = kubectl
        self._stack = stack
        assert kubectl("create", "namespace", self.namespace).succeeded
        stack.callback(kubectl, "delete", "namespace", self.namespace, "--wait=false")

    def install(self, name: str, *, refused: dict[str, Any]) -> None:
        """Apply a policy as it is, bound in this namespace alone, and wait until it refuses what it must."""
        for item in yaml.safe_load_all((POLICIES / name).read_text()):
            if item["kind"].endswith("Binding"):
                only_here = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}
                item["spec"]["matchResources"] = {"namespaceSelector": only_here}
            answer = self.kubectl.apply(item, "--validate=strict")
            assert answer.succeeded, answer.err
            assert answer.err == "", "the API server warns about the policy"
            self._stack.callback(self.kubectl, "delete", item["kind"], item["metadata"]["name"])
        eventually(lambda: not self.tried(refused).succeeded)

    def applied(self, manifest: dict[str, Any], *flags: str) -> Answer:
        manifest["metadata"]["namespace"] = self.namespace
        return self.kubectl.apply(manifest, *flags)

    def tried(self, manifest: dict[str, Any], *flags: str) -> Answer:
        return self.applied(manifest, "--dry-run=server", *flags)


@pytest.fixture
def place(kubectl: Kubectl) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(kubectl, stack)


def session(**spec: Any) -> dict[str, Any]:
    return agb_session({"imageId": "agb-code-space-1", **spec}, name="tried")


def schedule(**selector: Any) -> dict[str, Any]:
    return agb_schedule({**TIMES, "selector": selector}, name="tried")


def test_every_policy_is_listed_and_tried() -> None:
    readme, tests = (POLICIES.parent / "README.md").read_text(), Path(__file__).read_text()
    for policy in POLICIES.glob("*.yaml"):
        assert f"(policies/{policy.name})" in readme
        assert policy.name in tests


def test_an_override_needs_a_reason_unless_it_was_there_before(place: Place) -> None:
    bare = {"state": "Running", "until": UNTIL}
    assert place.applied(session(override=bare)).succeeded
    place.install("override-needs-reason.yaml", refused=session(override={**bare, "state": "Paused"}))

    refused = place.tried(session(override={**bare, "state": "Paused"}))

    assert "say why: set spec.override.reason" in refused.err
    assert place.tried(session(override={**bare, "reason": "release night"})).succeeded
    assert place.tried(session(override=bare, paused=True)).succeeded, "what stays as it is may stay"
    assert place.tried(session(paused=True)).succeeded


def test_schedules_are_changed_by_one_group_only_and_namespaces_can_go(place: Place) -> None:
    assert place.applied(schedule()).succeeded
    place.install("schedules-by-group.yaml", refused=schedule(matchLabels={"team": "ml"}))
    planner = ("--as=jane", "--as-group=session-planners", "--as-group=system:masters")
    controller = (
        "--as=system:serviceaccount:kube-system:namespace-controller",
        *("--as-group=system:serviceaccounts:kube-system", "--as-group=system:masters"),
    )
    delete = ("delete", "agbps", "tried", f"-n{place.namespace}", "--dry-run=server")

    for answer in (place.tried(schedule(matchLabels={"team": "ml"})), place.kubectl(*delete)):
        assert "schedules are changed by the group session-planners only" in answer.err
    assert place.tried(schedule(matchLabels={"team": "ml"}), *planner).succeeded
    assert place.kubectl(*delete, *planner).succeeded
    assert place.kubectl(*delete, *controller).succeeded
    status = place.kubectl(
        "patch", "agbps", "tried", f"-n{place.namespace}", "--subresource=status", "--type=merge", "-p", "{}"
    )
    assert status.succeeded, "the operator's reports are no changes"


def exists(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


def test_no_schedule_selects_production(place: Place) -> None:
    place.install("production-stays-awake.yaml", refused=schedule())

    for selector in (
        {},
        {"matchLabels": {"team": "ml"}},
        {"matchLabels": {"stage": "production"}},
        exists("stage", "Exists"),
        exists("stage", "In", "test", "production"),
        exists("stage", "NotIn", "test"),
    ):
        assert "a schedule must leave production alone" in place.tried(schedule(**selector)).err, selector
    for selector in (
        {"matchLabels": {"stage": "test"}},
        exists("stage", "NotIn", "production"),
        exists("stage", "In", "test"),
        exists("stage", "DoesNotExist"),
    ):
        answer = place.tried(schedule(**selector))
        assert answer.succeeded, answer.err
