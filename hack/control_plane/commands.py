"""The command line of each component, and why each flag is there. Pure: paths and addresses in, arguments
out."""

from pathlib import Path

from .binaries import Binaries

CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
)


def etcd(binaries: Binaries, *, folder: Path, url: str) -> list[str]:
    """Plain HTTP on loopback; peers get any port, since there are none."""
    return [
        str(binaries.etcd),
        f"--name={folder.name}",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--unsafe-no-fsync",  # nothing here has to survive a power cut
        "--log-level=warn",
    ]


def kube_apiserver(binaries: Binaries, *, folder: Path, port: int, etcd_url: str) -> list[str]:
    """What a cluster made by kubeadm has and an operator can tell, without nodes and Services."""
    key = folder / "service-account.key"
    return [
        str(binaries.kube_apiserver),
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # loopback cannot be an endpoint of a Service
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--allow-privileged=true",
        "--shutdown-watch-termination-grace-period=1s",  # otherwise open watches hold up an orderly end
        "--profiling=false",
        f"--audit-policy-file={folder / 'audit-policy.json'}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--audit-log-maxsize=100000",  # MB: never rotated, so that readers keep their position
    ]


def kube_controller_manager(binaries: Binaries, *, folder: Path, kubeconfig: Path) -> list[str]:
    """Garbage collection, namespace deletion and ServiceAccounts; no workloads, as there are no nodes."""
    return [
        str(binaries.kube_controller_manager),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(CONTROLLERS)}",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={folder / 'service-account.key'}",
        f"--root-ca-file={folder / 'certificates' / 'apiserver.crt'}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]
