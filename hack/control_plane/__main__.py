"""`python -m control_plane`: a control plane for people, or only the programs for one."""

import argparse
import signal
import sys
from pathlib import Path

from .binaries import Finder
from .cluster import ControlPlane
from .errors import ControlPlaneError


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="control_plane",
        description="Run etcd and kube-apiserver on this machine until Ctrl-C, without Docker.",
        epilog="The programs come from KUBEBUILDER_ASSETS, the cache, the official releases, or are built with Go.",
    )
    parser.add_argument(
        "--controller-manager", action="store_true", help="also garbage collection, namespaces, ServiceAccounts"
    )
    parser.add_argument("--kubeconfig", type=Path, metavar="PATH", help="write the admin kubeconfig there")
    parser.add_argument("--ensure", action="store_true", help="only get programs and tools ready; print their paths")
    options = parser.parse_args(arguments)
    # An orderly end is the same for `kill` and for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.ensure:
            _ensure()
        else:
            kubeconfig = options.kubeconfig.absolute() if options.kubeconfig else None
            _serve(controller_manager=options.controller_manager, kubeconfig=kubeconfig)
    except KeyboardInterrupt:
        return 130 if options.ensure else 0
    except ControlPlaneError as exc:
        print(f"control-plane: {exc}", file=sys.stderr)
        return 1
    return 0


def _ensure() -> None:
    finder = Finder()
    found = finder.binaries()
    programs = [found.etcd, found.kube_apiserver, found.kube_controller_manager, finder.kubectl(), finder.helm()]
    finder.discard_leftovers()
    for program in programs:
        print(program)


def _serve(*, controller_manager: bool, kubeconfig: Path | None) -> None:
    finder = Finder()
    binaries = finder.binaries(controller_manager=controller_manager)
    kubectl = finder.kubectl()
    with ControlPlane(controller_manager=controller_manager, kubeconfig=kubeconfig, binaries=binaries) as cluster:
        print(f"{cluster.server_url} is ready; Ctrl-C ends it. Fitting kubectl: {kubectl}", file=sys.stderr)
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        cluster.watch()


if __name__ == "__main__":
    sys.exit(main())
