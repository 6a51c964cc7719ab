"""Where the Kubernetes API server is and how to prove who we are, found as kubectl finds it.

It owns the choice between the kubeconfig files and the pod's service account, and the proxy; the library reads
the files, runs exec plugins and re-reads a pod's token. Talking to the server is `connection`'s.
"""

import ipaddress
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import yaml
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

from ..model.errors import StartupError

Load = Callable[[], Awaitable[Configuration]]


def find_cluster(environ: Mapping[str, str]) -> Load:
    """Find the cluster as kubectl does: the files of KUBECONFIG, else ~/.kube/config, else the pod's own.

    Returns a function that reads the configuration from there, now and again when it has grown old; it raises
    `StartupError` when what it finds cannot be used.

    Raises:
        StartupError: there is none.
    """
    named = environ.get("KUBECONFIG", "")
    wanted = [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    files = [file for file in wanted or [Path("~/.kube/config").expanduser()] if file.is_file()]
    if files:
        source = os.pathsep.join(map(str, files))
        return lambda: _loaded(_from_files(files), source=source)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return lambda: _loaded(_from_pod(), source="the pod's service account")
    if wanted:
        raise StartupError(f"KUBECONFIG={named} names no file that exists: correct it, or unset it")
    raise StartupError(
        "no Kubernetes cluster found: set KUBECONFIG, or create ~/.kube/config, or run in a pod with a service account"
    )


async def _loaded(loading: Awaitable[Configuration], *, source: str) -> Configuration:
    try:
        return await loading
    except kube_config.ConfigException as exc:
        raise StartupError(f"cannot use {source}: {one_line(exc)}") from exc
    # A malformed kubeconfig reaches us as whatever the library's first wrong assumption about it raises.
    except (yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise StartupError(f"cannot use {source}: {type(exc).__name__}: {one_line(exc)}") from exc


async def _from_files(files: list[Path]) -> Configuration:
    usable, context = [], None
    for file in files:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        if content is not None and not isinstance(content, dict):
            raise kube_config.ConfigException(f"{file} is no kubeconfig")
        if content:  # an empty file is legal, and a surprise to the library
            usable.append(str(file))
            # The first file that says it wins, as with kubectl; the library takes the last one.
            context = context or content.get("current-context")
    if not context:
        raise kube_config.ConfigException("no current context is set: run `kubectl config use-context NAME`")
    configuration = Configuration()
    await kube_config.load_kube_config(
        config_file=os.pathsep.join(usable),
        context=context,
        client_configuration=configuration,
        persist_config=False,
    )
    return configuration


async def _from_pod() -> Configuration:
    configuration = Configuration()
    kube_config.load_incluster_config(client_configuration=configuration)
    return configuration


def proxy_of(server: str, environ: Mapping[str, str]) -> str | None:
    """Choose the proxy that the environment names for `server`, None for a direct connection.

    NO_PROXY is read as Go's clients read it. Python's own functions know no networks in it (10.96.0.0/12), and without
    them the requests of a pod to its own API server would leave through the proxy of the company.
    """
    address = urlsplit(server)
    variables = {name.lower(): value for name, value in environ.items() if value}
    proxy = variables.get(f"{address.scheme}_proxy")
    exempt = (_is_exempt(address, entry.strip().lower()) for entry in variables.get("no_proxy", "").split(","))
    return None if any(exempt) else proxy


def _is_exempt(address: SplitResult, entry: str) -> bool:
    host = address.hostname or ""
    if entry in ("*", host, address.netloc):
        return True
    if entry and host.endswith("." + entry.lstrip(".")):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry)
    except ValueError:
        return False  # one of the two is a name


def one_line(exc: BaseException) -> str:
    """Write what an exception says without its line breaks; its class's name when it says nothing."""
    return " ".join(str(exc).split()) or type(exc).__name__
