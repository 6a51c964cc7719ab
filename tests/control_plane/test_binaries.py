"""The user's own programs come first, as long as they fit."""

from pathlib import Path

import pytest

from control_plane import Finder, NotAvailable
from control_plane.binaries import fits
from control_plane.versions import ETCD, HELM, KUBERNETES, LAYER_KUBECTL
from control_plane_support import make_supply, write_program


@pytest.fixture
def cache(environment: dict[str, str]) -> Path:
    """A cache that holds every program."""
    folder = Path(environment["AGB_OPERATOR_CACHE"])
    for program in ("kube-apiserver", "kube-controller-manager", "kubectl"):
        write_program(folder / f"kubernetes-{KUBERNETES}-linux-amd64" / program, "true")
    write_program(folder / f"etcd-{ETCD}-linux-amd64" / "etcd", "true")
    write_program(folder / f"helm-{HELM}-linux-amd64" / "helm", "true")
    return folder


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """A folder as the Kubernetes test tools make it: no controller manager in it."""
    folder = tmp_path / "assets"
    write_program(folder / "etcd", "true")
    write_program(folder / "kube-apiserver", f"echo Kubernetes v{KUBERNETES}")
    write_program(folder / "kubectl", f"""echo '"gitVersion": "v{KUBERNETES}"'""")
    return folder


def finder(environment: dict[str, str]) -> Finder:
    return Finder(environment=environment, supply=make_supply(environment))


def on_path(environment: dict[str, str], name: str, script: str) -> Path:
    return write_program(Path(environment["PATH"]) / name, script)


def test_without_a_folder_of_the_user_the_cache_serves(environment: dict[str, str], cache: Path) -> None:
    found = finder(environment).binaries()

    assert found.etcd == cache / f"etcd-{ETCD}-linux-amd64" / "etcd"
    assert found.kube_apiserver == cache / f"kubernetes-{KUBERNETES}-linux-amd64" / "kube-apiserver"
    assert found.kube_controller_manager == found.kube_apiserver.with_name("kube-controller-manager")


def test_the_controller_manager_is_fetched_only_if_asked_for(environment: dict[str, str], cache: Path) -> None:
    (cache / f"kubernetes-{KUBERNETES}-linux-amd64" / "kube-controller-manager").unlink()

    assert finder(environment).binaries(controller_manager=False).kube_controller_manager is None


def test_the_users_folder_wins_over_the_cache(environment: dict[str, str], cache: Path, assets: Path) -> None:
    write_program(assets / "kube-controller-manager", "true")

    found = finder(environment | {"KUBEBUILDER_ASSETS": str(assets)}).binaries()

    programs = [found.etcd, found.kube_apiserver, found.kube_controller_manager]
    assert programs == [assets / name for name in ("etcd", "kube-apiserver", "kube-controller-manager")]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("etcd",), "has no executable etcd;"),
        (("kube-apiserver",), "has no executable kube-apiserver;"),
        (("etcd", "kube-apiserver"), "has no executable etcd and no kube-apiserver;"),
    ],
)
def test_a_folder_that_lacks_a_program_is_an_error_that_names_it(
    environment: dict[str, str], cache: Path, assets: Path, missing: tuple[str, ...], said: str
) -> None:
    for name in missing:
        (assets / name).unlink()

    with pytest.raises(NotAvailable, match=said) as caught:
        finder(environment | {"KUBEBUILDER_ASSETS": str(assets)}).binaries()

    assert str(assets) in str(caught.value)


def test_our_controller_manager_serves_a_folder_of_our_minor_version(
    environment: dict[str, str], cache: Path, assets: Path
) -> None:
    found = finder(environment | {"KUBEBUILDER_ASSETS": str(assets)}).binaries()

    assert found.kube_controller_manager == cache / f"kubernetes-{KUBERNETES}-linux-amd64/kube-controller-manager"


def test_our_controller_manager_is_not_paired_with_another_minor_version(
    environment: dict[str, str], cache: Path, assets: Path
) -> None:
    write_program(assets / "kube-apiserver", "echo Kubernetes v1.31.0")

    with pytest.raises(NotAvailable, match=r"its kube-apiserver is v1\.31\.0"):
        finder(environment | {"KUBEBUILDER_ASSETS": str(assets)}).binaries()


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        ("v1.37.1", "1.37.2", True),
        ("v1.36.9", "1.37.2", True),
        ("v1.38.0-rc.1", "1.37.2", True),
        ("v1.35.0", "1.37.2", False),
        ("v1.39.0", "1.37.2", False),
        ("v1.32.4-dispatcher", "1.37.2", False),
        ("v2.37.2", "1.37.2", False),
        ("", "1.37.2", False),
        ("v1.37.2", "", False),
    ],
)
def test_kubectl_fits_a_server_one_minor_version_away(client: str, server: str, expected: bool) -> None:
    assert fits(client=client, server=server) is expected


def test_a_kubectl_on_the_path_is_taken_if_it_fits(environment: dict[str, str], cache: Path) -> None:
    kubectl = on_path(environment, "kubectl", """echo '{"clientVersion": {"gitVersion": "v1.36.3"}}'""")

    assert finder(environment).kubectl() == kubectl


@pytest.mark.parametrize("script", ["""echo '"gitVersion": "v1.32.4-dispatcher"'""", "exit 1", "echo hello"])
def test_a_kubectl_on_the_path_that_does_not_fit_is_passed_over_and_told(
    environment: dict[str, str], cache: Path, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl = on_path(environment, "kubectl", script)

    assert finder(environment).kubectl() == cache / f"kubernetes-{KUBERNETES}-linux-amd64" / "kubectl"
    (line,) = (line for line in capsys.readouterr().err.splitlines() if f"not using {kubectl}: it is " in line)
    assert line.endswith(f", and the server is {KUBERNETES}")


def test_the_users_folder_brings_its_own_kubectl(environment: dict[str, str], cache: Path, assets: Path) -> None:
    on_path(environment, "kubectl", f"echo v{LAYER_KUBECTL}")

    assert finder(environment | {"KUBEBUILDER_ASSETS": str(assets)}).kubectl() == assets / "kubectl"


def test_kubectl_is_measured_against_the_server_in_the_users_folder(
    environment: dict[str, str], cache: Path, assets: Path
) -> None:
    (assets / "kubectl").unlink()
    write_program(assets / "kube-apiserver", "echo Kubernetes v1.31.4")
    kubectl = on_path(environment, "kubectl", "echo v1.30.0")

    assert finder(environment | {"KUBEBUILDER_ASSETS": str(assets)}).kubectl() == kubectl


def test_a_helm_of_the_same_major_version_on_the_path_is_taken(environment: dict[str, str], cache: Path) -> None:
    helm = on_path(environment, "helm", "echo v4.0.1")

    assert finder(environment).helm() == helm


@pytest.mark.parametrize("script", ["echo v3.19.0+g1234", "exit 1"])
def test_another_helm_on_the_path_is_passed_over_and_told(
    environment: dict[str, str], cache: Path, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    helm = on_path(environment, "helm", script)

    assert finder(environment).helm() == cache / f"helm-{HELM}-linux-amd64" / "helm"
    assert f"not using {helm}" in capsys.readouterr().err
