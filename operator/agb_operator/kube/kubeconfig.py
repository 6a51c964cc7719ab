"""Kubeconfig files as kubectl reads them: merged, with paths beside the file that holds them, one context taken out.

The library's own reading differs from kubectl's in what people have: paths of a second file, contexts without a user,
entries that name credentials and yield none. Source: clientcmd of k8s.io/client-go (loader.go, validation.go).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

_CLUSTER_FILES: Final = ("certificate-authority",)
_USER_FILES: Final = ("client-certificate", "client-key", "tokenFile")
_KINDS: Final = {"clusters": "cluster", "users": "user", "contexts": "context"}


class BadConfig(ValueError):
    """A kubeconfig that cannot be used; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a context names: a cluster and a user, as the files write them, with absolute paths, and a namespace."""

    cluster: dict[str, Any]
    user: dict[str, Any]
    user_name: str
    namespace: str = ""


def current_context(files: Iterable[tuple[Path, str]], chosen: str = "") -> Context:
    """Merge the files' texts and take the current context out; of two entries of one name the first wins.

    `chosen` names another context than the current one.

    Raises:
        BadConfig: there is none that could be used.
    """
    merged: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _KINDS}
    current = ""
    for file, text in files:
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as exc:
            raise BadConfig(f"{file}: {exc}") from exc
        if content is None:  # an empty file is legal
            continue
        if not isinstance(content, dict):
            raise BadConfig(f"{file} is no kubeconfig")
        current = current or str(content.get("current-context") or "")
        for kind, singular in _KINDS.items():
            for name, entry in _entries(content, kind, singular, file).items():
                merged[kind].setdefault(name, entry)
    if chosen:
        return _chosen(merged, chosen, f"the context {chosen!r}")
    if not current:
        raise BadConfig("no current context is set: run `kubectl config use-context NAME`")
    return _chosen(merged, current, f"the current context {current!r}")


def _entries(content: Mapping[str, Any], kind: str, singular: str, file: Path) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for item in content.get(kind) or ():
        if not isinstance(item, dict) or not isinstance(item.get(singular) or {}, dict):
            raise BadConfig(f"{file}: an entry of {kind} is not a mapping with a name and a {singular}")
        name = str(item.get("name", ""))
        if name in entries:
            raise BadConfig(f"{file}: there are two {kind} of the name {name!r}")
        entries[name] = _beside(file, dict(item.get(singular) or {}))
    return entries


def _beside(file: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Make the entry's paths absolute: they lie beside the file that names them."""
    folder = file.absolute().parent
    for key in (*_CLUSTER_FILES, *_USER_FILES):
        if entry.get(key):
            entry[key] = str(folder / str(entry[key]))
    plugin = entry.get("exec")
    # A bare name is looked for in the PATH.
    if isinstance(plugin, dict) and "/" in str(plugin.get("command", "")):
        entry["exec"] = {**plugin, "command": str(folder / plugin["command"])}
    return entry


def _chosen(merged: Mapping[str, Mapping[str, dict[str, Any]]], name: str, shown: str) -> Context:
    context = merged["contexts"].get(name)
    if context is None:
        raise BadConfig(f"{shown} does not exist")
    cluster_name, user_name = str(context.get("cluster") or ""), str(context.get("user") or "")
    cluster = merged["clusters"].get(cluster_name)
    if cluster is None:
        raise BadConfig(f"the cluster {cluster_name!r} of the context {name!r} does not exist")
    if user_name and user_name not in merged["users"]:
        raise BadConfig(f"the user {user_name!r} of the context {name!r} does not exist")
    _check_cluster(cluster, cluster_name)
    user = merged["users"].get(user_name, {})
    _check_user(user, user_name)
    namespace = str(context.get("namespace") or "")
    return Context(cluster=cluster, user=user, user_name=user_name, namespace=namespace)


def _check_cluster(cluster: Mapping[str, Any], name: str) -> None:
    if not cluster.get("server"):
        raise BadConfig(f"the cluster {name!r} has no server")
    authority = cluster.get("certificate-authority") or cluster.get("certificate-authority-data")
    if cluster.get("insecure-skip-tls-verify") and authority:
        raise BadConfig(f"the cluster {name!r} names a certificate authority and insecure-skip-tls-verify: keep one")


def _check_user(user: Mapping[str, Any], name: str) -> None:
    certificate = user.get("client-certificate") or user.get("client-certificate-data")
    if certificate and not (user.get("client-key") or user.get("client-key-data")):
        raise BadConfig(f"the user {name!r} has a client certificate and no client key")
    if user.get("exec") and user.get("auth-provider"):
        raise BadConfig(f"the user {name!r} has an exec plugin and an auth-provider: take one out")
    if (user.get("token") or user.get("tokenFile")) and user.get("username"):
        raise BadConfig(f"the user {name!r} has a token and a user name: take one out")
    if (user.get("as-uid") or user.get("as-groups") or user.get("as-user-extra")) and not user.get("as"):
        raise BadConfig(f"the user {name!r} impersonates groups or a UID without a name (`as`)")
