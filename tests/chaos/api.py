"""AgbSessions over HTTP as their users change them: what kubectl sends, without a process for each request."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from agb_operator.model.resource import ABANDON_ANNOTATION
from control_plane import ControlPlane

SECONDS = 10.0
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Refused(Exception):
    """The API server is away, or answered with an error: `code` 0 stands for no answer."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


class Sessions:
    """The AgbSessions of one namespace, its schedules and its Lease, through a token of the administrator's."""

    def __init__(self, control_plane: ControlPlane, namespace: str, token: str) -> None:
        tls = ssl.create_default_context(cafile=str(control_plane.certificate_authority))
        self._client = httpx.Client(
            base_url=control_plane.server_url,
            verify=tls,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "chaos"},
            timeout=SECONDS,
            trust_env=False,
        )
        self._namespace = namespace
        self._path = f"/apis/agb.cloud/v1alpha1/namespaces/{namespace}/agbsessions"
        self._schedules = f"/apis/agb.cloud/v1alpha1/namespaces/{namespace}/agbpauseschedules"

    def create(self, name: str, spec: Mapping[str, Any], *, labels: Mapping[str, str] | None = None) -> None:
        """Create one, with `metadata.labels`."""
        body = {
            "apiVersion": "agb.cloud/v1alpha1",
            "kind": "AgbSession",
            "metadata": {"name": name, "namespace": self._namespace, "labels": dict(labels or {})},
            "spec": dict(spec),
        }
        self._send("POST", self._path, body, "application/json")

    def patch(self, name: str, **spec: Any) -> None:
        """Change the spec by a merge patch."""
        self._send("PATCH", f"{self._path}/{name}", {"spec": spec}, MERGE)

    def annotate(self, name: str, **annotations: str) -> None:
        """Set annotations of somebody else's."""
        metadata = {"annotations": {f"example.com/{key}": value for key, value in annotations.items()}}
        self._send("PATCH", f"{self._path}/{name}", {"metadata": metadata}, MERGE)

    def abandon(self, name: str) -> None:
        """Let its deletion end without its session."""
        metadata = {"annotations": {ABANDON_ANNOTATION: "true"}}
        self._send("PATCH", f"{self._path}/{name}", {"metadata": metadata}, MERGE)

    def delete(self, name: str) -> None:
        """Delete one, and do not wait for its finalizer."""
        self._send("DELETE", f"{self._path}/{name}")

    def list(self) -> tuple[list[dict[str, Any]], str]:
        """Give all of them, and the version of the list."""
        answer = self._send("GET", self._path)
        return answer["items"], answer["metadata"]["resourceVersion"]

    def watch(self, version: str) -> Iterator[str]:
        """Give the lines of a watch until it ends, after two seconds at the latest."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "2"}
        try:
            with self._client.stream("GET", self._path, params=query) as answer:
                if answer.status_code != 200:
                    raise Refused(answer.status_code, "watch")
                yield from answer.iter_lines()
        except httpx.HTTPError as exc:
            raise Refused(0, str(exc)) from exc

    def answers(self) -> bool:
        """Tell whether the API server is ready."""
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def apply_schedule(self, name: str, spec: Mapping[str, Any]) -> None:
        """Make a schedule what is said here, and nothing else."""
        body = {
            "apiVersion": "agb.cloud/v1alpha1",
            "kind": "AgbPauseSchedule",
            "metadata": {"name": name},
            "spec": dict(spec),
        }
        self._send("PATCH", f"{self._schedules}/{name}?fieldManager=chaos&force=true", body, APPLY)

    def delete_schedule(self, name: str) -> None:
        """Delete a schedule."""
        self._send("DELETE", f"{self._schedules}/{name}")

    def schedules(self) -> Sequence[dict[str, Any]]:
        """List the schedules."""
        items: Sequence[dict[str, Any]] = self._send("GET", self._schedules)["items"]
        return items

    def take_lease(self, name: str, *, holder: str, seconds: int) -> None:
        """Write another holder into a Lease, by force."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases/{name}"
        self._send("PATCH", path, {"spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds}}, MERGE)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _send(self, method: str, path: str, body: Any = None, content: str = "") -> Any:
        headers = {"Content-Type": content} if content else {}
        try:
            answer = self._client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as exc:
            raise Refused(0, str(exc)) from exc
        if answer.status_code >= 300:
            raise Refused(answer.status_code, answer.text[:200])
        return answer.json()
