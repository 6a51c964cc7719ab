"""Who owns spec.paused: server-side apply as GitOps tools do it, patches as people do them.

docs/gitops/README.md explains to users what is shown here.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl import Kubectl

NAMESPACE = "gitops-ownership"
FLUX = "kustomize-controller"
ARGOCD = "argocd-controller"
BUTTON = "pause-button"


@pytest.fixture(scope="module", autouse=True)
def _namespace(kubectl: Kubectl) -> Iterator[None]:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    assert kubectl.apply(manifest).succeeded
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


class Session:
    """One AgbSession in Git and in the cluster."""

    def __init__(self, kubectl: Kubectl, name: str, *, annotations: dict[str, str] | None = None) -> None:
        self._kubectl = kubectl
        self._name = name
        self._annotations = annotations or {}

    def applied(self, manager: str, spec: dict[str, Any]) -> None:
        """Apply the manifest in Git with `spec` beside the image, as both tools do: server-side and by force."""
        metadata = {"name": self._name, "namespace": NAMESPACE, "annotations": self._annotations}
        manifest = {
            "apiVersion": "agb.cloud/v1alpha1",
            "kind": "AgbSession",
            "metadata": metadata,
            "spec": {"imageId": "agb-code-space-1", **spec},
        }
        answer = self._kubectl.apply(manifest, "--server-side", "--force-conflicts", f"--field-manager={manager}")
        assert answer.succeeded, answer.err

    def patched(self, paused: bool, *flags: str) -> None:
        """Patch the field as a person types it."""
        patch = json.dumps({"spec": {"paused": paused}})
        answer = self._kubectl(
            "patch", "agbsession", self._name, f"-n{NAMESPACE}", "--type=merge", f"--patch={patch}", *flags
        )
        assert answer.succeeded, answer.err

    def live(self) -> dict[str, Any]:
        answer = self._kubectl(
            "get", "agbsession", self._name, f"-n{NAMESPACE}", "--output=json", "--show-managed-fields"
        )
        return dict(json.loads(answer.out))

    def paused(self) -> bool | None:
        value = self.live()["spec"].get("paused")
        assert value is None or isinstance(value, bool)
        return value

    def owners(self) -> set[str]:
        """Who owns spec.paused."""
        entries = self.live()["metadata"]["managedFields"]
        return {entry["manager"] for entry in entries if "f:paused" in entry["fieldsV1"].get("f:spec", {})}

    def taken_over_by_flux(self) -> None:
        """Do what kustomize-controller does before each apply: what kubectl owns becomes its own.

        Source: fluxcd/pkg ssa, PatchReplaceFieldsManagers, called for managers that begin with `kubectl`, unless
        the object carries `kustomize.toolkit.fluxcd.io/ssa: Merge`.
        """
        if self._annotations.get("kustomize.toolkit.fluxcd.io/ssa") == "Merge":
            return
        entries = self.live()["metadata"]["managedFields"]
        own = next(entry for entry in entries if entry["manager"] == FLUX)
        kept = []
        for entry in entries:
            if entry["manager"].startswith("kubectl") and "subresource" not in entry:
                own["fieldsV1"] = _merged(own["fieldsV1"], entry["fieldsV1"])
            else:
                kept.append(entry)
        patch = json.dumps([{"op": "replace", "path": "/metadata/managedFields", "value": kept}])
        answer = self._kubectl(
            "patch", "agbsession", self._name, f"-n{NAMESPACE}", "--type=json", f"--patch={patch}",
            f"--field-manager={FLUX}",
        )  # fmt: skip
        assert answer.succeeded, answer.err


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {key: _merged(left.get(key, {}), right.get(key, {})) for key in {*left, *right}}


# Git owns it


@pytest.mark.parametrize("manager", [ARGOCD, FLUX])
def test_what_git_says_wins_over_a_patch(kubectl: Kubectl, manager: str) -> None:
    session = Session(kubectl, f"git-owns-{manager}")
    session.applied(manager, {"paused": False})
    session.patched(True)
    assert session.paused() is True
    session.applied(manager, {"paused": False})
    assert session.paused() is False
    assert session.owners() == {manager}


# People own it: the field is not in Git


def test_argo_cd_leaves_a_field_alone_that_is_not_in_git(kubectl: Kubectl) -> None:
    session = Session(kubectl, "people-own-argocd")
    session.applied(ARGOCD, {})
    session.patched(True)
    session.applied(ARGOCD, {})
    assert session.paused() is True
    assert session.owners() == {"kubectl-patch"}


def test_handing_the_field_from_git_to_people_keeps_its_value_if_a_person_set_it_first(kubectl: Kubectl) -> None:
    session = Session(kubectl, "handed-over")
    session.applied(ARGOCD, {"paused": True})
    session.patched(True, f"--field-manager={BUTTON}")
    session.applied(ARGOCD, {})
    assert session.paused() is None, "a merge patch without a change takes no part in the ownership"

    session.applied(ARGOCD, {"paused": True})
    session.patched(False, f"--field-manager={BUTTON}")
    session.patched(True, f"--field-manager={BUTTON}")
    session.applied(ARGOCD, {})
    assert session.paused() is True
    assert session.owners() == {BUTTON}


def test_a_server_side_apply_of_the_one_field_takes_part_in_its_ownership(kubectl: Kubectl) -> None:
    session = Session(kubectl, "shared")
    session.applied(ARGOCD, {"paused": True})
    alone = {
        "apiVersion": "agb.cloud/v1alpha1",
        "kind": "AgbSession",
        "metadata": {"name": "shared", "namespace": NAMESPACE},
        "spec": {"paused": True},
    }
    answer = kubectl.apply(alone, "--server-side", f"--field-manager={BUTTON}")
    assert answer.succeeded, answer.err
    assert session.owners() == {ARGOCD, BUTTON}
    session.applied(ARGOCD, {})
    assert session.paused() is True


def test_flux_reverts_a_plain_kubectl_patch(kubectl: Kubectl) -> None:
    session = Session(kubectl, "people-own-flux")
    session.applied(FLUX, {})
    session.patched(True)
    session.taken_over_by_flux()
    session.applied(FLUX, {})
    assert session.paused() is None


def test_flux_leaves_a_patch_by_another_field_manager_alone(kubectl: Kubectl) -> None:
    session = Session(kubectl, "people-own-flux-manager")
    session.applied(FLUX, {})
    session.patched(True, f"--field-manager={BUTTON}")
    session.taken_over_by_flux()
    session.applied(FLUX, {})
    assert session.paused() is True
    assert session.owners() == {BUTTON}


def test_flux_leaves_a_plain_patch_alone_on_an_object_marked_merge(kubectl: Kubectl) -> None:
    session = Session(kubectl, "people-own-flux-merge", annotations={"kustomize.toolkit.fluxcd.io/ssa": "Merge"})
    session.applied(FLUX, {})
    session.patched(True)
    session.taken_over_by_flux()
    session.applied(FLUX, {})
    assert session.paused() is True
