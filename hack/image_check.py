"""See that the built image runs as a strict cluster would run it, against a real API server.

    python hack/image_check.py

A random user id without a name, a read-only root file system, no capabilities, and nothing but what a Pod of
`deploy/base` gets: its arguments, the API server's address in the environment, and a ServiceAccount's token.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import yaml

from control_plane import ControlPlane, ControlPlaneError, find_kubectl
from control_plane.processes import free_port
from image import ROOT, Builder, Engine, ImageError, find_builder, image_name, output, version

BASE = ROOT / "deploy" / "base"
RANDOM_UID = 1000710000
"""As OpenShift gives them: in no /etc/passwd; its group is 0."""
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
_MOUNT = "/run/secrets/kubernetes.io/serviceaccount"
"""Programs look under /var/run, a link to /run that, followed from outside, leads to this machine's own."""


class Container:
    """The built image, ready to run its programs the way a strict cluster does.

    A random user id without a name, a read-only root file system, no capabilities; the network of this machine.
    """

    def __init__(self, builder: Builder, *, files: Path, root: str = "", environment: Sequence[str] = ()) -> None:
        """Keep what `command` needs.

        Args:
            builder: has built the image.
            files: a folder, mounted read-only at the place of a ServiceAccount's token.
            root: where buildah has unpacked the image.
            environment: what the image itself sets, for buildah.
        """
        self._builder = builder
        self._files = files
        self._root = root
        self._environment = environment

    def command(self, program: str, *args: str, environment: Mapping[str, str] | None = None) -> list[str]:
        """Return the command line that runs a program; nothing of this process's environment is passed on."""
        variables = [f"{name}={value}" for name, value in (environment or {}).items()]
        if self._builder.engine is not Engine.BUILDAH:
            return self._builder.command(
                "run", "--rm", "--read-only", "--network=host", "--cap-drop=ALL", f"--user={RANDOM_UID}:0",
                "--security-opt=no-new-privileges", f"--volume={self._files}:{_MOUNT}:ro",
                f"--entrypoint={program}", *(f"--env={variable}" for variable in variables), image_name(), *args,
            )  # fmt: skip
        # A mount namespace of its own: what is mounted in it goes with its last process.
        script = (
            'mount --bind "$1" "$1" && mount --bind /proc "$1/proc" && mount --bind "$2" "$1$3" && '
            'mount -o remount,bind,ro "$1$3" && mount -o remount,bind,ro "$1" && shift 3 && exec "$@"'
        )
        chroot = ["chroot", f"--userspec={RANDOM_UID}:0", "--groups=", self._root]
        return [
            *("unshare", "--mount", "sh", "-c", script, "sh", self._root, str(self._files), _MOUNT),
            *(*chroot, "/usr/bin/env", "-i", *self._environment, *variables, program, *args),
        ]


@contextmanager
def unpacked(builder: Builder, files: Path) -> Iterator[Container]:
    """Unpack the image if the engine does not run it by itself; what was unpacked goes at the end."""
    if builder.engine is not Engine.BUILDAH:
        yield Container(builder, files=files)
        return
    name = output(builder.command("from", "--pull=never", image_name()))
    try:
        root = output(builder.command("mount", name))
        Path(root + _MOUNT).mkdir(parents=True, exist_ok=True)
        variables = output(builder.command("inspect", "--format={{range .OCIv1.Config.Env}}{{println .}}{{end}}", name))
        yield Container(builder, files=files, root=root, environment=variables.splitlines())
    finally:
        output(builder.command("rm", name))


def check_programs(container: Container) -> None:
    """Run the image's programs under a random user id and read what they say.

    Raises:
        ImageError: one does not start, or is of another version.
    """
    for program, args, expected in (
        ("agb-operator", ("version",), version()),
        ("agb-operator", ("run", "--help"), "--default-key-namespace"),
        ("agb-simulator", ("--help",), "--transition"),
    ):
        command = container.command(program, *args)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0 or expected not in done.stdout:
            raise ImageError(
                f"`{program} {' '.join(args)}` in the image did not say {expected}:\n{done.stdout}{done.stderr}"
            )
        print(f"{program} {' '.join(args)}: {done.stdout.splitlines()[0]}")


def check_labels(builder: Builder) -> None:
    """See that the image says what it is.

    Raises:
        ImageError: a label is missing or wrong.
    """
    if builder.engine is Engine.BUILDAH:
        config = json.loads(output(builder.command("inspect", "--type=image", image_name())))["OCIv1"]["config"]
    else:
        config = json.loads(output(builder.command("image", "inspect", image_name())))[0]["Config"]
    labels = config["Labels"]
    wrong = {
        name: labels.get(f"org.opencontainers.image.{name}")
        for name, expected in (("title", "agb-operator"), ("licenses", "Apache-2.0"), ("version", version()))
        if labels.get(f"org.opencontainers.image.{name}") != expected
    }
    if wrong:
        raise ImageError(f"the image has wrong labels: {wrong}")
    print(f"labels: version {version()}, revision {labels['org.opencontainers.image.revision']}")


def check_in_cluster(container: Container, files: Path) -> None:
    """Run the operator of the image on a local control plane, as the Pod of `deploy/base` would.

    Raises:
        ImageError: it does not become ready and lead, or does not end in order.
        ControlPlaneError: there is no local control plane.
    """
    with ControlPlane() as cluster:
        env = {"KUBECONFIG": str(cluster.kubeconfig), "HOME": str(files)}
        kubectl = find_kubectl()
        subprocess.run([kubectl, "apply", "-k", BASE], env=env, check=True, capture_output=True)
        account = [f"--namespace={_deployment()['metadata']['namespace']}", _pod()["serviceAccountName"]]
        token = subprocess.run([kubectl, "create", "token", *account], env=env, check=True, capture_output=True)
        (files / "token").write_bytes(token.stdout.strip())
        (files / "ca.crt").write_bytes(cluster.certificate_authority.read_bytes())
        (files / "namespace").write_text(_deployment()["metadata"]["namespace"])
        server = urlsplit(cluster.server_url)
        environment = {
            "KUBERNETES_SERVICE_HOST": str(server.hostname),
            "KUBERNETES_SERVICE_PORT": str(server.port),
            "POD_ID": "agb-operator-0",
        }
        address = f"127.0.0.1:{free_port()}"
        args = [*_pod()["containers"][0]["args"], f"--http-address={address}"]
        process = subprocess.Popen(
            container.command("agb-operator", *args, environment=environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            _wait_until_it_leads(process, address)
            process.terminate()
            said, _ = process.communicate(timeout=STOP_SECONDS)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            raise ImageError(f"the operator ended with code {process.returncode} after SIGTERM:\n{said}")
    print(f"agb-operator {args[0]}: worked in a cluster as user {RANDOM_UID}, and ended in order")


def _wait_until_it_leads(process: subprocess.Popen[str], address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while "\nagb_leader 1.0\n" not in _page(f"http://{address}/metrics"):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise ImageError(f"the operator of the image does not get to work:\n{process.communicate()[0]}")
        time.sleep(0.2)


def _page(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def _deployment() -> Mapping[str, Any]:
    manifests = yaml.safe_load_all((BASE / "operator.yaml").read_text())
    return next(dict(item) for item in manifests if item["kind"] == "Deployment")


def _pod() -> Mapping[str, Any]:
    return dict(_deployment()["spec"]["template"]["spec"])


def main() -> int:
    """Check the image that `image.py` has built."""
    try:
        builder = find_builder(os.environ)
        with TemporaryDirectory() as folder:
            files = Path(folder)
            files.chmod(0o755)  # a random user has to read it
            check_labels(builder)
            with unpacked(builder, files) as container:
                check_programs(container)
                check_in_cluster(container, files)
    except (ImageError, ControlPlaneError) as exc:
        print(f"image: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
