"""The admission policies of examples/policies, applied to a real API server and tried in one namespace of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from crd.api import agb_schedule, agb_session
from e2e.stack import eventually
from kubectl import Answer, Kubectl

POLICIES = Path(__file__).resolve().parents[2] / "examples" / "policies"
NAMESPACE = "policies"
UNTIL = "2026-11-25T22:00:00Z"
TIMES = {"timeZone": "UTC", "pauseAt": "0 20 * * *", "resumeAt": "0 7 * * 1-5"}
Install = Callable[[str, dict[str, Any]], None]


@pytest.fixture(scope="module")
def place(kubectl: Kubectl) -> Iterator[Kubectl]:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    assert kubectl.apply(manifest).succeeded
    yield kubectl
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def install(place: Kubectl) -> Iterator[Install]:
    """Apply a policy as it is, bound in this namespace alone, and wait until it refuses what it must."""
    with ExitStack() as stack:

        def applied(name: str, refused: dict[str, Any]) -> None:
            for item in yaml.safe_load_all((POLICIES / name).read_text()):
                if item["kind"].endswith("Binding"):
                    only_here = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
                    item["spec"]["matchResources"] = {"namespaceSelector": only_here}
                answer = place.apply(item, "--validate=strict")
                assert answer.succeeded, answer.err
                assert answer.err == "", "the API server warns about the policy"
                stack.callback(place, "delete", item["kind"], item["metadata"]["name"])
            eventually(lambda: not dry_run(place, refused).succeeded)

        yield applied


def session(**spec: Any) -> dict[str, Any]:
    manifest = agb_session({"imageId": "agb-code-space-1", **spec}, name="tried")
    manifest["metadata"]["namespace"] = NAMESPACE
    return manifest


def schedule(name: str, **selector: Any) -> dict[str, Any]:
    manifest = agb_schedule({**TIMES, "selector": selector}, name=name)
    manifest["metadata"]["namespace"] = NAMESPACE
    return manifest


def dry_run(kubectl: Kubectl, manifest: dict[str, Any], *flags: str) -> Answer:
    return kubectl.apply(manifest, "--dry-run=server", *flags)


def test_every_policy_is_listed_and_tried() -> None:
    readme, tests = (POLICIES.parent / "README.md").read_text(), Path(__file__).read_text()
    for policy in POLICIES.glob("*.yaml"):
        assert f"(policies/{policy.name})" in readme
        assert policy.name in tests


def test_an_override_needs_a_reason_unless_it_was_there_before(place: Kubectl, install: Install) -> None:
    bare = {"state": "Running", "until": UNTIL}
    assert place.apply(session(override=bare)).succeeded
    install("override-needs-reason.yaml", session(override={**bare, "state": "Paused"}))

    refused = dry_run(place, session(override={**bare, "state": "Paused"}))

    assert "say why: set spec.override.reason" in refused.err
    assert dry_run(place, session(override={**bare, "reason": "release night"})).succeeded
    assert dry_run(place, session(override=bare, paused=True)).succeeded, "what stays as it is may stay"
    assert dry_run(place, session(paused=True)).succeeded


def test_schedules_are_changed_by_one_group_only_and_namespaces_can_go(place: Kubectl, install: Install) -> None:
    assert place.apply(schedule("tried")).succeeded
    install("schedules-by-group.yaml", schedule("tried", matchLabels={"team": "ml"}))
    planner = ("--as=jane", "--as-group=session-planners", "--as-group=system:masters")
    controller = (
        "--as=system:serviceaccount:kube-system:namespace-controller",
        *("--as-group=system:serviceaccounts:kube-system", "--as-group=system:masters"),
    )
    delete = ("delete", "agbps", "tried", f"-n{NAMESPACE}", "--dry-run=server")

    for answer in (dry_run(place, schedule("tried", matchLabels={"team": "ml"})), place(*delete)):
        assert "schedules are changed by the group session-planners only" in answer.err
    assert dry_run(place, schedule("tried", matchLabels={"team": "ml"}), *planner).succeeded
    assert place(*delete, *planner).succeeded
    assert place(*delete, *controller).succeeded
    status = place("patch", "agbps", "tried", f"-n{NAMESPACE}", "--subresource=status", "--type=merge", "-p", "{}")
    assert status.succeeded, "the operator's reports are no changes"


def exists(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


def test_no_schedule_selects_production(place: Kubectl, install: Install) -> None:
    install("production-stays-awake.yaml", schedule("new"))

    for selector in (
        {},
        {"matchLabels": {"team": "ml"}},
        {"matchLabels": {"stage": "production"}},
        exists("stage", "Exists"),
        exists("stage", "In", "test", "production"),
        exists("stage", "NotIn", "test"),
    ):
        assert "a schedule must leave production alone" in dry_run(place, schedule("new", **selector)).err, selector
    for selector in (
        {"matchLabels": {"stage": "test"}},
        exists("stage", "NotIn", "production"),
        exists("stage", "In", "test"),
        exists("stage", "DoesNotExist"),
    ):
        answer = dry_run(place, schedule("new", **selector))
        assert answer.succeeded, answer.err
