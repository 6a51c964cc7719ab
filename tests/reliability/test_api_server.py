"""Trouble at the API server itself: restarts, expired watches, throttling, conflicts, a CRD that goes, lost rights.

One control plane of its own, since it is broken; after each trouble a new patch is served within 90 s, if need be by
an operator that the kubelet has restarted.
"""

import itertools
import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from control_plane import ControlPlane, User
from e2e.stack import KEY, Operator, Simulator, eventually, until_established
from e2e.tenant import Tenant
from kubectl import Kubectl
from kubelet import Kubelet

CRD_FILE = Path(__file__).resolve().parents[2] / "crds" / "agbsessions.yaml"
SERVED_WITHIN = 90.0
OPERATOR = User(name="agb-operator-under-test")
"""The operator's own user: not in system:masters, whose requests are never throttled."""


class Cluster:
    """A control plane to break, and the administrator's kubectl for it."""

    def __init__(self, plane: ControlPlane, kubectl: Kubectl, simulator: Simulator, folder: Path) -> None:
        self.plane = plane
        self.kubectl = kubectl
        self.simulator = simulator
        self.folder = folder
        self._numbers = itertools.count(1)

    def must(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl and see that it succeeds."""
        answer = self.kubectl(*args, stdin=stdin)
        assert answer.succeeded, (args, answer.err)
        return answer.out

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects."""
        self.must("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def install_crd(self) -> None:
        """Install the CRD and wait until it is served."""
        self.must("apply", "--filename", str(CRD_FILE))
        until_established(self.kubectl, f"--filename={CRD_FILE}")

    @contextmanager
    def tenant(self, *flags: str, kubeconfig: Path | None = None) -> Iterator[tuple[Tenant, Kubelet]]:
        """A namespace with a running session `s`, and an operator of its own that a kubelet looks after.

        The operator's Lease is in that namespace, unless `flags` say otherwise.
        """
        made = Tenant(kubectl=self.kubectl, control=self.simulator.control, audit=self.plane.audit_events(), key=KEY)
        number = next(self._numbers)
        own = kubeconfig or self.plane.kubeconfig_for_user(OPERATOR, self.folder / f"kubeconfig-{number}")

        def start() -> Operator:
            return Operator(
                f"--namespace={made.namespace}",
                *(flags or (f"--lease-namespace={made.namespace}",)),
                "--resync=5s",
                kubeconfig=own,
                endpoint=self.simulator.endpoint,
                log=self.folder / f"operator-{number}.log",
            )

        with Kubelet(start) as kubelet:
            made.adopt("s")
            made.wait("s", "Ready", seconds=60)
            yield made, kubelet

    @contextmanager
    def crowd(self, user: User) -> Iterator[None]:
        """Send requests as a user, as many as four connections can carry, until the `with` block ends."""
        done = threading.Event()
        context = ssl.create_default_context(cafile=str(self.plane.certificate_authority))
        url = f"{self.plane.server_url}/api/v1/namespaces/default/secrets"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {user.token}"})

        def send() -> None:
            while not done.is_set():
                with suppress(OSError), urllib.request.urlopen(request, context=context, timeout=10) as answer:
                    answer.read()

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            done.set()
            for thread in threads:
                thread.join()

    def served(self, tenant: Tenant, kubelet: Kubelet) -> None:
        """See that a new patch is served in time."""
        tenant.fresh_start()
        tenant.patch("s", paused=False)
        tenant.patch("s", paused=True)
        generation = tenant.get("s")["metadata"]["generation"]
        try:
            tenant.until(
                "s",
                lambda status: status.get("phase") == "Paused" and status["observedGeneration"] == generation,
                within=SERVED_WITHIN,
            )
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{kubelet.operator.text()[-4000:]}") from None
        assert tenant.illegal_calls() == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, kubectl_program: Path) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("api-server")
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(users=[OPERATOR]))
        simulator = stack.enter_context(Simulator("--transition=1s", log=folder / "simulator.log"))
        kubectl = Kubectl(program=kubectl_program, kubeconfig=plane.kubeconfig, home=folder)
        made = Cluster(plane, kubectl, simulator, folder)
        made.install_crd()
        made.must("create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", f"--user={OPERATOR.name}")
        yield made


def test_the_api_server_restarts(cluster: Cluster) -> None:
    with cluster.tenant() as (tenant, kubelet):
        cluster.plane.restart_apiserver()
        cluster.served(tenant, kubelet)


def test_the_api_server_crashes_and_is_away_for_a_while(cluster: Cluster) -> None:
    with cluster.tenant() as (tenant, kubelet):
        cluster.plane.kill_apiserver()
        time.sleep(15.0)  # longer than the lease can be held without it
        cluster.plane.start_apiserver()
        cluster.served(tenant, kubelet)


def test_etcd_crashes_and_is_away_for_a_while(cluster: Cluster) -> None:
    with cluster.tenant() as (tenant, kubelet):
        cluster.plane.kill_etcd()
        time.sleep(5.0)
        cluster.plane.start_etcd()
        cluster.served(tenant, kubelet)


def test_a_watch_that_has_expired_is_begun_anew_by_a_list(cluster: Cluster) -> None:
    with cluster.tenant() as (tenant, kubelet):
        lists = cluster.plane.audit_events()
        # A restarted API server remembers no history, so a watch that goes on from an older version gets 410.
        cluster.plane.stop_apiserver()
        cluster.plane.start_apiserver()
        for number in range(5):
            tenant.must("annotate", "agbsession", "s", f"example.com/change={number}", "--overwrite")
        cluster.served(tenant, kubelet)
        assert [e for e in lists.read_new() if e.verb in ("list", "watch") and e.resource == "agbsessions"]


def test_a_resource_that_is_deleted_while_the_watch_is_down_is_no_ghost_after_it(cluster: Cluster) -> None:
    # Without a Lease, so that standing still for a moment does not end it.
    with cluster.tenant("--no-leader-election") as (tenant, kubelet):
        tenant.apply("waits", sessionId=tenant.status("s")["sessionId"])
        eventually(lambda: tenant.ready("waits").get("reason") == "SessionConflict")
        with kubelet.standing_still():
            cluster.plane.stop_apiserver()
            cluster.plane.start_apiserver()
            tenant.must("delete", "agbsession", "s")
        tenant.wait("waits", "Ready", seconds=90)  # the next comparison of all names is minutes away
        assert kubelet.restarts == 0


def test_the_api_server_throttles_the_operator(cluster: Cluster) -> None:
    limits = [
        {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "PriorityLevelConfiguration",
            "metadata": {"name": "starved"},
            "spec": {
                "type": "Limited",
                "limited": {
                    "nominalConcurrencyShares": 0,
                    "lendablePercent": 0,
                    "borrowingLimitPercent": 0,
                    "limitResponse": {"type": "Reject"},
                },
            },
        },
        {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "FlowSchema",
            "metadata": {"name": "starved"},
            "spec": {
                "matchingPrecedence": 2,
                "priorityLevelConfiguration": {"name": "starved"},
                "rules": [
                    {
                        "subjects": [{"kind": "User", "user": {"name": OPERATOR.name}}],
                        "resourceRules": [
                            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}
                        ],
                    }
                ],
            },
        },
    ]
    with cluster.tenant() as (tenant, kubelet):
        audit = cluster.plane.audit_events()
        codes: list[int] = []
        try:
            cluster.apply(*limits)

            def refused() -> bool:
                mine = [e for e in audit.read_new() if e.user_agent.startswith("agb-operator")]
                codes.extend(e.code for e in mine)
                return 429 in codes

            # The least that a priority level gets is one request at a time, so somebody else takes that.
            with cluster.crowd(OPERATOR):
                eventually(refused, within=60.0)
                tenant.patch("s", paused=True)
                time.sleep(15.0)
        finally:
            cluster.must("delete", "flowschema/starved", "prioritylevelconfiguration/starved")
        cluster.served(tenant, kubelet)


def test_a_storm_of_changes_by_others_does_not_keep_the_operator_from_its_work(cluster: Cluster) -> None:
    with cluster.tenant() as (tenant, kubelet):
        done = threading.Event()

        def storm() -> None:
            for number in itertools.count():
                if done.is_set():
                    return
                tenant("annotate", "agbsession", "s", f"example.com/storm={number}", "--overwrite")

        stormers = [threading.Thread(target=storm) for _ in range(2)]
        for stormer in stormers:
            stormer.start()
        try:
            cluster.served(tenant, kubelet)
        finally:
            done.set()
            for stormer in stormers:
                stormer.join()
        assert kubelet.restarts == 0


def test_the_crd_is_removed_and_put_back(cluster: Cluster) -> None:
    with cluster.tenant() as (tenant, kubelet):
        cluster.must("delete", "--filename", str(CRD_FILE), "--timeout=60s")
        time.sleep(5.0)
        cluster.install_crd()
        tenant.adopt("s")
        cluster.served(tenant, kubelet)


def test_a_token_that_is_no_longer_valid_is_replaced_from_its_file(cluster: Cluster) -> None:
    cluster.must("create", "namespace", "operator")
    cluster.must("create", "serviceaccount", "operator", "--namespace=operator")
    cluster.must(
        "create", "clusterrolebinding", "by-token", "--clusterrole=cluster-admin", "--serviceaccount=operator:operator"
    )
    kubeconfig, token_file = cluster.folder / "by-token.yaml", cluster.folder / "token"

    def put_token(secret: str) -> None:
        cluster.must("create", "secret", "generic", secret, "--namespace=operator")
        bound = ("--bound-object-kind=Secret", f"--bound-object-name={secret}")
        token = cluster.must("create", "token", "operator", "--namespace=operator", *bound)
        token_file.write_text(token)

    put_token("first")
    cluster.plane.kubeconfig_for_token("replaced", kubeconfig)
    content = yaml.safe_load(kubeconfig.read_text())
    content["users"][0]["user"] = {"tokenFile": str(token_file)}
    kubeconfig.write_text(yaml.safe_dump(content))
    with cluster.tenant(kubeconfig=kubeconfig) as (tenant, kubelet):
        cluster.must("delete", "secret", "first", "--namespace=operator")
        time.sleep(12.0)  # the API server remembers a token that it has checked for ten seconds
        put_token("second")
        cluster.served(tenant, kubelet)


def test_a_secret_that_cannot_be_read_for_a_while(cluster: Cluster) -> None:
    with cluster.tenant() as (tenant, kubelet):
        secret = json.loads(tenant.must("get", "secret", "agb-credentials", "--output=json"))
        tenant.must("delete", "secret", "agb-credentials")
        kubelet.kill()  # or the key that was read before would serve for another minute
        tenant.patch("s", paused=True)
        tenant.until(
            "s",
            lambda s: any(c["type"] == "Ready" and c["reason"] == "CredentialsMissing" for c in s["conditions"]),
            within=SERVED_WITHIN,
        )
        for field in ("resourceVersion", "uid", "creationTimestamp"):
            secret["metadata"].pop(field, None)
        cluster.apply(secret)
        cluster.served(tenant, kubelet)
