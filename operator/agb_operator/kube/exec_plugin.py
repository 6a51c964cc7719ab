"""Credentials from an exec plugin, as cloud providers have them: what it said when it fails, and never without an end.

The library's own running of plugins writes a failure to the log and goes on without credentials, waits for ever, and
takes no client certificate's rotation. Source: "client-go credential plugins" in the Kubernetes documentation.
"""

import asyncio
import base64
import contextlib
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .kubeconfig import BadConfig

SECONDS: Final = 50.0
"""That a plugin may take: some ask a server, none may ask a person."""
_TEXT_LIMIT: Final = 300
_CLUSTER_FIELDS: Final = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
_EXTENSION: Final = "client.authentication.k8s.io/exec"


async def run_plugin(
    plugin: Mapping[str, Any], cluster: Mapping[str, Any], *, seconds: float = SECONDS
) -> dict[str, str]:
    """Run the plugin of a user; returns the credentials as fields of a kubeconfig's user.

    Raises:
        BadConfig: it yields none; the message names it and holds what it said.
    """
    command, version = str(plugin.get("command") or ""), str(plugin.get("apiVersion") or "")
    if not command or not version:
        raise BadConfig("the exec plugin of the user has no command or no apiVersion")
    if plugin.get("interactiveMode") == "Always":
        raise BadConfig(f"the exec plugin {command} needs a terminal (interactiveMode: Always)")
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(cluster)
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    environment = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or ()}
    # Shielded: a start that is cancelled in its middle would wait for whoever holds the pipes.
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            command,
            *map(str, plugin.get("args") or ()),
            env=os.environ | environment | {"KUBERNETES_EXEC_INFO": json.dumps(info)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    )
    try:
        async with asyncio.timeout(seconds):
            process = await asyncio.shield(starting)
            out, err = await process.communicate()
    except TimeoutError as exc:
        await _kill(await starting)
        raise BadConfig(f"the exec plugin {command} gave no answer in {seconds:g} s") from exc
    except asyncio.CancelledError:
        await _kill(await starting)
        raise
    except OSError as exc:
        hint = " ".join(str(plugin.get("installHint") or "install it, or take another user").split())
        raise BadConfig(f"the exec plugin {command} cannot be run: {exc.strerror}: {hint}") from exc
    if process.returncode:
        said = " ".join(err.decode(errors="replace").split())[-_TEXT_LIMIT:] or "it said nothing"
        raise BadConfig(f"the exec plugin {command} failed (exit code {process.returncode}): {said}")
    return _credentials(command, version, out)


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End it and what it has started: its children may hold the pipes that its end is waited for on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _credentials(command: str, version: str, out: bytes) -> dict[str, str]:
    try:
        answer = json.loads(out)
        status = answer["status"]
        answered = answer["apiVersion"]
        token, certificate, key = (
            status.get(name) or "" for name in ("token", "clientCertificateData", "clientKeyData")
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadConfig(f"the exec plugin {command} answered something that is not an ExecCredential") from None
    if answered != version:
        raise BadConfig(f"the exec plugin {command} answered in {answered}, and the kubeconfig says {version}")
    if bool(certificate) != bool(key) or not (token or certificate):
        raise BadConfig(f"the exec plugin {command} answered with neither a token nor a client certificate and its key")
    pair = {"client-certificate-data": certificate, "client-key-data": key}
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in pair.items() if text}
    return encoded | ({"token": token} if token else {})


def _cluster_info(cluster: Mapping[str, Any]) -> dict[str, Any]:
    info = {name: cluster[name] for name in _CLUSTER_FIELDS if cluster.get(name)}
    if cluster.get("certificate-authority-data"):
        info["certificate-authority-data"] = cluster["certificate-authority-data"]
    elif cluster.get("certificate-authority"):
        content = Path(cluster["certificate-authority"]).read_bytes()
        info["certificate-authority-data"] = base64.b64encode(content).decode()
    for extension in cluster.get("extensions") or ():
        if extension.get("name") == _EXTENSION:
            info["config"] = extension.get("extension")
    return info
