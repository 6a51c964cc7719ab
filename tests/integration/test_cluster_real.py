"""What the adapter asks of a real kube-apiserver is understood, and its refusals are told apart."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agb_operator.kube.cluster import Cluster, connect_cluster
from agb_operator.kube.config import find_cluster
from agb_operator.model.errors import ClusterForbidden, ClusterRefused, Conflict, ObjectNotFound, StartupError
from agb_operator.model.event import Event, RecordedEvent
from agb_operator.model.resource import ObjectKey
from agb_operator.process.assembly import system_clock
from agb_operator.process.leader import Elector, Timing
from control_plane import ControlPlane
from kubectl import Kubectl


@pytest.fixture
async def cluster(
    control_plane: ControlPlane, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cluster]:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    cluster = await connect_cluster(find_cluster(os.environ))
    yield cluster
    await cluster.close()


@pytest.fixture
def namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> str:
    name = re.sub(r"[^a-z0-9]", "-", request.node.name)[:63].rstrip("-")
    assert kubectl("create", "namespace", name).succeeded
    return name


def apply_session(kubectl: Kubectl, namespace: str, name: str) -> None:
    session = {
        "apiVersion": "agb.cloud/v1alpha1",
        "kind": "AgbSession",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"imageId": "agb-code-space-1"},
    }
    applied = kubectl.apply(session)
    assert applied.succeeded, applied.err


def version_of(body: dict[str, Any]) -> str:
    version = body["metadata"]["resourceVersion"]
    assert isinstance(version, str)
    return version


async def test_a_status_is_merged_and_the_new_version_returned(
    cluster: Cluster, kubectl: Kubectl, namespace: str
) -> None:
    apply_session(kubectl, namespace, "batch")
    before = await cluster.read(namespace, "batch")
    first = await cluster.patch_status(
        namespace, "batch", resource_version=version_of(before), patch={"phase": "Running", "sessionId": "session-1"}
    )
    second = await cluster.patch_status(
        namespace, "batch", resource_version=version_of(first), patch={"phase": "Paused"}
    )
    assert (second["status"]["phase"], second["status"]["sessionId"]) == ("Paused", "session-1")
    assert second == await cluster.read(namespace, "batch")
    assert second["spec"] == before["spec"]


async def test_our_writes_carry_our_name(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    apply_session(kubectl, namespace, "batch")
    before = await cluster.read(namespace, "batch")
    after = await cluster.patch_status(
        namespace, "batch", resource_version=version_of(before), patch={"phase": "Running"}
    )
    ours = [entry for entry in after["metadata"]["managedFields"] if entry.get("subresource")]
    assert [entry["manager"] for entry in ours] == ["agb-operator"]
    # One line for the whole status: the API server carries it along in each version.
    assert ours[0]["fieldsV1"] == {"f:status": {}}


async def test_a_status_written_over_an_old_version_is_a_conflict(
    cluster: Cluster, kubectl: Kubectl, namespace: str
) -> None:
    apply_session(kubectl, namespace, "batch")
    before = version_of(await cluster.read(namespace, "batch"))
    await cluster.patch_status(namespace, "batch", resource_version=before, patch={"phase": "Running"})
    with pytest.raises(Conflict):
        await cluster.patch_status(namespace, "batch", resource_version=before, patch={"phase": "Paused"})


async def test_a_status_meant_for_a_predecessor_of_the_same_name_is_a_conflict(
    cluster: Cluster, kubectl: Kubectl, namespace: str
) -> None:
    apply_session(kubectl, namespace, "batch")
    before = version_of(await cluster.read(namespace, "batch"))
    assert kubectl("delete", "agbs", "batch", "-n", namespace).succeeded
    apply_session(kubectl, namespace, "batch")
    with pytest.raises(Conflict):
        await cluster.patch_status(namespace, "batch", resource_version=before, patch={"phase": "Paused"})


async def test_a_status_that_breaks_the_schema_is_refused(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    apply_session(kubectl, namespace, "batch")
    before = version_of(await cluster.read(namespace, "batch"))
    with pytest.raises(ClusterRefused) as refusal:
        await cluster.patch_status(namespace, "batch", resource_version=before, patch={"observedGeneration": "one"})
    assert "status.observedGeneration" in refusal.value.message


async def test_an_absent_object_is_not_found(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(ObjectNotFound):
        await cluster.read(namespace, "nobody")
    with pytest.raises(ObjectNotFound):
        await cluster.patch_status(namespace, "nobody", resource_version="1", patch={"phase": "Paused"})
    with pytest.raises(ObjectNotFound):
        await cluster.read_secret(namespace, "nobody")


async def test_finalizers_are_set_and_removed(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    apply_session(kubectl, namespace, "batch")
    body = await cluster.read(namespace, "batch")
    held = await cluster.set_finalizers(
        namespace, "batch", resource_version=version_of(body), finalizers=["agb.cloud/session"]
    )
    assert held["metadata"]["finalizers"] == ["agb.cloud/session"]
    assert kubectl("delete", "agbs", "batch", "-n", namespace, "--wait=false").succeeded
    dying = await cluster.read(namespace, "batch")
    with pytest.raises(Conflict):
        await cluster.set_finalizers(namespace, "batch", resource_version=version_of(held), finalizers=[])
    await cluster.set_finalizers(namespace, "batch", resource_version=version_of(dying), finalizers=[])
    with pytest.raises(ObjectNotFound):
        await cluster.read(namespace, "batch")


async def test_names_are_listed_over_several_pages(
    cluster: Cluster, kubectl: Kubectl, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agb_operator.kube.cluster._PAGE", 2)
    for number in range(5):
        apply_session(kubectl, namespace, f"batch-{number}")
    names = await cluster.list_names(namespace)
    assert sorted(names) == [(namespace, f"batch-{number}") for number in range(5)]
    assert names[namespace, "batch-3"] == (await cluster.read(namespace, "batch-3"))["metadata"]["uid"]
    assert names.items() <= (await cluster.list_names()).items()


async def test_a_secret_is_read_decoded(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    arguments = ("create", "secret", "generic", "agb-credentials", "-n", namespace)
    assert kubectl(*arguments, "--from-literal=apiKey=simulator-key-a").succeeded
    assert await cluster.read_secret(namespace, "agb-credentials") == {"apiKey": b"simulator-key-a"}


async def test_kubectl_shows_the_events(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    apply_session(kubectl, namespace, "batch")
    uid = (await cluster.read(namespace, "batch"))["metadata"]["uid"]
    for reason, message in (("Paused", "the session is paused"), ("PauseTimedOut", "é" * 2000)):
        event = Event(reason=reason, message=message, warning=True)
        key = ObjectKey(namespace, "batch")
        await cluster.record_event(
            RecordedEvent(event=event, key=key, uid=uid, at=datetime.now(UTC), event_id=reason.lower())
        )
    described = kubectl("describe", "agbs", "batch", "-n", namespace).out
    assert "the session is paused" in described
    assert "agb-operator" in described
    listed = json.loads(kubectl("get", "events.v1.events.k8s.io", "-n", namespace, "-o", "json").out)["items"]
    assert {event["reportingController"] for event in listed} == {"agb.cloud/agb-operator"}
    assert {event["action"] for event in listed} == {"Reconcile"}
    assert max(len(event["note"].encode()) for event in listed) <= 1024
    assert all(event["deprecatedLastTimestamp"] for event in listed)


async def test_a_lease_is_written_only_over_the_version_that_was_read(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(ObjectNotFound):
        await cluster.read_lease(namespace, "agb-operator")
    created = await cluster.create_lease(
        namespace, "agb-operator", {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.000000Z"}
    )
    with pytest.raises(Conflict):
        await cluster.create_lease(namespace, "agb-operator", {"holderIdentity": "b"})
    renewed = await cluster.update_lease(
        namespace, "agb-operator", {**created, "spec": {**created["spec"], "holderIdentity": "b"}}
    )
    with pytest.raises(Conflict):
        await cluster.update_lease(namespace, "agb-operator", created)
    assert await cluster.read_lease(namespace, "agb-operator") == renewed


async def test_the_start_check_passes_on_a_cluster_with_the_crd(cluster: Cluster, namespace: str) -> None:
    await cluster.check([namespace], patience=0)
    await cluster.check(patience=0)


@pytest.mark.parametrize(("has", "lacks"), [("get", "list"), ("list", "watch")])
async def test_the_start_check_names_the_missing_rights(
    has: str,
    lacks: str,
    control_plane: ControlPlane,
    kubectl: Kubectl,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert kubectl("create", "serviceaccount", "stranger", "-n", namespace).succeeded
    rights = ("--resource=agbsessions.agb.cloud", f"--verb={has}")
    assert kubectl("create", "role", "some", "-n", namespace, *rights).succeeded
    whom = f"--serviceaccount={namespace}:stranger"
    assert kubectl("create", "rolebinding", "some", "-n", namespace, "--role=some", whom).succeeded
    token = kubectl("create", "token", "stranger", "-n", namespace).out.strip()
    kubeconfig = control_plane.kubeconfig_for_token(token, tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    stranger = await connect_cluster(find_cluster(os.environ))
    try:
        with pytest.raises(StartupError, match=rf"cannot {lacks} resource .*grant the operator its RBAC rules"):
            await stranger.check([namespace], patience=0)
        with pytest.raises(ClusterForbidden):
            await stranger.read_secret(namespace, "any")
    finally:
        await stranger.close()


async def test_the_start_check_says_that_the_credentials_are_refused(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = control_plane.kubeconfig_for_token("no-such-token", tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    unknown = await connect_cluster(find_cluster(os.environ))
    try:
        with pytest.raises(StartupError, match="refuses the credentials"):
            await unknown.check(patience=0)
    finally:
        await unknown.close()


async def test_two_electors_hand_over_through_a_real_lease(cluster: Cluster, namespace: str) -> None:
    def elector(identity: str) -> Elector:
        timing = Timing(duration=3.0, deadline=2.0, retry=0.2)
        return Elector(
            leases=cluster,
            namespace=namespace,
            name="agb-operator",
            identity=identity,
            timing=timing,
            clock=system_clock(),
        )

    first, second = elector("first"), elector("second")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    waiting = asyncio.create_task(second.acquire())
    await _renewed(cluster, namespace)
    assert not waiting.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await first.step_down()
    async with asyncio.timeout(30):
        await waiting
    assert (first.leads, second.leads) == (False, True)
    spec = (await cluster.read_lease(namespace, "agb-operator"))["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)


async def _renewed(cluster: Cluster, namespace: str) -> None:
    """Wait until the Lease has been written once more."""
    before = await cluster.read_lease(namespace, "agb-operator")
    for _ in range(600):
        if await cluster.read_lease(namespace, "agb-operator") != before:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody renewed the lease for 30 s")
