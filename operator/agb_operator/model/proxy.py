"""Which proxy stands before a server, as Go's clients read it from the environment.

One function for the Kubernetes API and for AGB: kubectl and the operator in one shell take the same way. Python's own
functions know neither networks nor ports in NO_PROXY, and send loopback addresses through the proxy.
Source: golang.org/x/net/http/httpproxy.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_PORTS: Final = {"http": 80, "https": 443}
_LONGEST_NAME: Final = 253


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """A proxy and who we are to it.

    Attributes:
        url: its address, free of credentials: this one is logged.
        authorization: the value of `Proxy-Authorization`, "" without credentials.
        secrets: the forms of the password that a log might show.
    """

    url: str
    authorization: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def proxy_for(server: str, environ: Mapping[str, str]) -> Proxy | None:
    """Choose the proxy for the address `server`, None for a direct connection.

    Raises:
        ValueError: the environment names one that cannot be used; the message names the variable, not its password.
    """
    address = urlsplit(server)
    for name in (f"{address.scheme}_proxy".upper(), f"{address.scheme}_proxy"):
        named = environ.get(name, "").strip()
        if named:
            try:
                proxy = read_proxy(named)
            except ValueError as exc:
                raise ValueError(f"{name}: {exc}") from None
            exempt = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
            return None if _is_direct(address, exempt) else proxy
    return None


def read_proxy(text: str) -> Proxy:
    """Read a proxy's address; without a scheme it is taken for http.

    Raises:
        ValueError: it is none, or of a kind that is not supported.
    """
    address = urlsplit(text if "://" in text else f"http://{text}")
    try:
        host, port = address.hostname, address.port
    except ValueError:
        host = port = None
    if not host or port == 0 or not is_name(host):
        raise ValueError("this is not a proxy address; write it like http://proxy.example:3128")
    if address.scheme not in _PORTS:
        raise ValueError(f"a proxy of the kind {address.scheme}:// is not supported: it must be http:// or https://")
    shown = f"[{host}]" if ":" in host else host
    url = urlunsplit((address.scheme, shown if port is None else f"{shown}:{port}", "", "", ""))
    if address.username is None:
        return Proxy(url=url)
    password = address.password or ""
    words = f"{unquote(address.username)}:{unquote(password)}"
    basic = base64.b64encode(words.encode()).decode()
    return Proxy(url=url, authorization=f"Basic {basic}", secrets=(basic, password, unquote(password)))


def is_name(host: str) -> bool:
    """Say whether it can be looked up: Python's resolver breaks on empty and on too long labels."""
    name = host.removesuffix(".")
    try:
        return ":" in host or (bool(name.encode("idna")) and len(name) <= _LONGEST_NAME)
    except UnicodeError:
        return False


def _is_direct(address: SplitResult, exempt: str) -> bool:
    host = (address.hostname or "").rstrip(".")
    port = str(address.port or _PORTS[address.scheme])
    ip = _ip(host)
    if host == "localhost" or (ip is not None and ip.is_loopback):
        return True
    entries = (entry.strip().lower() for entry in exempt.split(","))
    return any(_matches(entry, host, port, ip) for entry in entries if entry)


def _matches(entry: str, host: str, port: str, ip: "_Ip | None") -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return ip is not None and ip in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, only_port = _split(entry)
    if only_port not in ("", port) or not name:
        return False
    address = _ip(name)
    if address is not None:
        return ip == address
    name = name.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _split(entry: str) -> tuple[str, str]:
    """Split host and port; a bare IPv6 address has none."""
    host, colon, port = entry.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        return entry, ""
    return host.strip("[]"), port


_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def _ip(text: str) -> _Ip | None:
    try:
        ip = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip
