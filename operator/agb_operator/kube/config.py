"""Where the Kubernetes API server is and how to prove who we are, found as kubectl finds it.

It owns the choice between the kubeconfig files and the pod's service account, TLS, the proxy, and impersonation; the
library reads tokens, logs in at identity providers and re-reads a pod's token. Talking to the server is `connection`'s.
"""

import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

from ..model.errors import StartupError
from ..model.proxy import Proxy, proxy_for, read_proxy
from ..model.trust import client_context, trust
from .exec_plugin import run_plugin
from .kubeconfig import BadConfig, Context, current_context

logger = logging.getLogger(__name__)

_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CREDENTIALS: Final = ("token", "tokenFile", "exec", "auth-provider", "username", "client-certificate")


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Everything that a connection to the API server takes.

    Attributes:
        configuration: the library's: the address, and the token with what renews it.
        tls: whom we trust, and our client certificate.
        certificate: that certificate with its key, to see that it was replaced; b"" without one.
        proxy: what stands before the server.
        impersonation: headers that ask for another user's rights.
        namespace: the one that is meant where none is named.
    """

    configuration: Configuration
    tls: ssl.SSLContext
    certificate: bytes = field(default=b"", repr=False)
    proxy: Proxy | None = None
    impersonation: tuple[tuple[str, str], ...] = ()
    namespace: str = "default"


Load = Callable[[], Awaitable[Access]]


def find_cluster(environ: Mapping[str, str], *, context: str = "") -> Load:
    """Find the cluster as kubectl does: the files of KUBECONFIG, else ~/.kube/config, else the pod's own.

    `context` names another context of the files than the current one.

    Returns a function that reads the configuration from there, now and again when it has grown old; it raises
    `StartupError` when what it finds cannot be used.

    Raises:
        StartupError: there is none.
    """
    named = environ.get("KUBECONFIG", "")
    wanted = [Path(part) for part in named.split(os.pathsep) if part]
    files = [file for file in wanted or [Path("~/.kube/config").expanduser()] if file.exists() and not file.is_dir()]
    if files:
        source = os.pathsep.join(map(str, files))
        texts: dict[Path, str] = {}
        return lambda: _loaded(_from_files(files, texts, context), environ, source=source)
    if environ.get("KUBERNETES_SERVICE_HOST") and not context:
        return lambda: _loaded(_from_pod(), environ, source="the pod's service account")
    if wanted:
        raise StartupError(f"KUBECONFIG={named} names no file that exists: correct it, or unset it")
    raise StartupError(
        "no Kubernetes cluster found: set KUBECONFIG, or create ~/.kube/config, or run in a pod with a service account"
    )


async def _loaded(
    loading: Awaitable[tuple[Configuration, Context]], environ: Mapping[str, str], *, source: str
) -> Access:
    try:
        configuration, context = await loading
        return _access(configuration, context, environ)
    except (kube_config.ConfigException, BadConfig) as exc:
        raise StartupError(f"cannot use {source}: {one_line(exc)}") from exc
    # A malformed kubeconfig reaches us as whatever the library's first wrong assumption about it raises.
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise StartupError(f"cannot use {source}: {type(exc).__name__}: {one_line(exc)}") from exc


async def _from_files(files: list[Path], texts: dict[Path, str], chosen: str) -> tuple[Configuration, Context]:
    """Read the files anew, but a pipe only once: its text is kept in `texts`."""
    for file in files:
        if file.is_file() or file not in texts:
            texts[file] = file.read_text(encoding="utf-8-sig")
    context = current_context(texts.items(), chosen)
    cluster, user = dict(context.cluster), dict(context.user)
    if "://" not in cluster["server"]:
        cluster["server"] = f"http://{cluster['server']}"
    if user.get("tokenFile"):
        user.pop("token", None)
    plugin = user.pop("exec", None)
    if plugin and not (user.get("token") or user.get("tokenFile")):
        user.update(await run_plugin(plugin, cluster))
    configuration = Configuration()
    resolved = {
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
        "current-context": "context",
    }
    await kube_config.load_kube_config_from_dict(resolved, client_configuration=configuration)
    named = [name for name in _CREDENTIALS if context.user.get(name)]
    if named and not (configuration.api_key or configuration.cert_file):
        raise BadConfig(f"the user {context.user_name!r} names credentials ({named[0]}) that are not available here")
    return configuration, context


async def _from_pod() -> tuple[Configuration, Context]:
    configuration = Configuration()
    kube_config.load_incluster_config(client_configuration=configuration)
    namespace = _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.is_file() else ""
    return configuration, Context(cluster={}, user={}, user_name="", namespace=namespace)


def _access(configuration: Configuration, context: Context, environ: Mapping[str, str]) -> Access:
    named = context.cluster.get("proxy-url")
    try:
        proxy = read_proxy(str(named)) if named else proxy_for(configuration.host, environ)
    except ValueError as exc:
        raise BadConfig(f"proxy-url: {exc}" if named else str(exc)) from exc
    tls, certificate = _tls(configuration, context.cluster)
    configuration.proxy = proxy.url if proxy else None
    return Access(
        configuration=configuration,
        tls=tls,
        certificate=certificate,
        proxy=proxy,
        impersonation=tuple(_impersonation(context.user)),
        namespace=context.namespace or "default",
    )


def _tls(configuration: Configuration, cluster: Mapping[str, Any]) -> tuple[ssl.SSLContext, bytes]:
    """Make the context that both connections share; the library's own is never used, so it has nothing to load."""
    context = client_context()
    if configuration.ssl_ca_cert:
        inside = "certificate-authority-data"
        source = inside if cluster.get(inside) else configuration.ssl_ca_cert
        try:
            broken = trust(context, Path(configuration.ssl_ca_cert).read_bytes())
        except ValueError as exc:
            raise BadConfig(f"{source}: {exc}") from exc
        for number in broken:
            logger.warning("certificate %d of %s is broken and left out", number, source)
    else:
        context.load_default_certs()
    certificate = b""
    if configuration.cert_file and configuration.key_file:
        try:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        except ssl.SSLError as exc:
            raise BadConfig(f"the client certificate {configuration.cert_file} and its key: {one_line(exc)}") from exc
        certificate = b"".join(Path(file).read_bytes() for file in (configuration.cert_file, configuration.key_file))
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    configuration.ssl_ca_cert = configuration.cert_file = configuration.key_file = None
    return context, certificate


def _impersonation(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Write the headers that ask for the rights of another user, as kubectl does."""
    if not user.get("as"):
        return []
    headers = [("Impersonate-User", str(user["as"]))]
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", str(user["as-uid"])))
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    for name, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{quote(str(name), safe='')}", str(value)) for value in values]
    return headers


def one_line(exc: BaseException) -> str:
    """Write what an exception says without its line breaks; its class's name when it says nothing."""
    return " ".join(str(exc).split()) or type(exc).__name__
