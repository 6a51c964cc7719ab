"""The environment names the proxy as Go's clients read it."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest

from agb_operator.model.proxy import Proxy, proxy_for, read_proxy

VIA = "http://proxy:3128"
GO_NO_PROXY = (
    "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, "
    "2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64"
)
GO_TABLE = [
    # From TestUseProxy of golang.org/x/net/http/httpproxy, with its own NO_PROXY.
    ("localhost", False),
    ("127.0.0.1", False),
    ("127.0.0.2", False),
    ("[::1]", False),
    ("[::2]", True),
    ("192.168.1.1", False),
    ("192.168.1.2", True),
    ("192.168.1.3", False),
    ("192.168.1.4", True),
    ("10.0.0.2", False),
    ("[2001:db8::52:0:1]", False),
    ("[2001:db8::52:0:2]", True),
    ("[2001:db8::52:0:3]", False),
    ("[2002:db8:a::123]", False),
    ("[fe80::424b:c8be:1643:a1b6]", True),
    ("barbaz.net", True),
    ("www.barbaz.net", False),
    ("foobar.com", False),
    ("www.foobar.com", False),
    ("foofoobar.com", True),
    ("baz.com", True),
    ("localhost.net", True),
    ("local.localhost", True),
    ("barbarbaz.net", True),
    ("wildcard.io", True),
    ("nested.wildcard.io", False),
    ("awildcard.io", True),
]


@pytest.mark.parametrize(("host", "proxied"), GO_TABLE)
def test_no_proxy_is_read_as_go_reads_it(host: str, proxied: bool) -> None:
    chosen = proxy_for(f"http://{host}", {"HTTP_PROXY": VIA, "NO_PROXY": GO_NO_PROXY})
    assert (chosen is not None) == proxied


class Case(NamedTuple):
    why: str
    server: str
    environ: Mapping[str, str]
    proxy: str | None


CASES = [
    Case("none is named", "https://10.96.0.1:443", {}, None),
    Case("it is for this scheme", "https://k8s.example:6443", {"HTTPS_PROXY": VIA}, VIA),
    Case("its name is in lower case", "https://k8s.example:6443", {"https_proxy": VIA}, VIA),
    Case("upper case wins", "https://k8s.example", {"HTTPS_PROXY": VIA, "https_proxy": "http://other"}, VIA),
    Case("it is for another scheme", "https://k8s.example:6443", {"HTTP_PROXY": VIA}, None),
    Case("it has no scheme", "https://k8s.example", {"HTTPS_PROXY": "proxy:3128"}, VIA),
    Case("it has no port", "https://k8s.example", {"HTTPS_PROXY": "proxy"}, "http://proxy"),
    Case("it has a path", "https://k8s.example", {"HTTPS_PROXY": f"{VIA}/"}, VIA),
    Case("it is an IPv6 address", "https://k8s.example", {"HTTPS_PROXY": "[fd00::1]:3128"}, "http://[fd00::1]:3128"),
    Case("it is empty", "https://k8s.example", {"HTTPS_PROXY": " ", "https_proxy": VIA}, VIA),
    Case("the server is of this machine", "https://127.0.0.1:6443", {"HTTPS_PROXY": VIA}, None),
    Case("the host is exempt", "https://k8s.example:6443", {"HTTPS_PROXY": VIA, "NO_PROXY": "k8s.example"}, None),
    Case("one port is exempt", "https://k8s.example:6443", {"HTTPS_PROXY": VIA, "NO_PROXY": "k8s.example:6443"}, None),
    Case("the usual port is exempt", "https://k8s.example", {"HTTPS_PROXY": VIA, "NO_PROXY": "k8s.example:443"}, None),
    Case("another port is exempt", "https://k8s.example", {"HTTPS_PROXY": VIA, "NO_PROXY": "k8s.example:80"}, VIA),
    Case("a similar name is exempt", "https://my-k8s.example", {"HTTPS_PROXY": VIA, "NO_PROXY": "k8s.example"}, VIA),
    Case("cluster names are exempt", "https://a.b.svc", {"HTTPS_PROXY": VIA, "NO_PROXY": "*.svc"}, None),
    Case("nothing is exempt", "https://k8s.example", {"HTTPS_PROXY": VIA, "NO_PROXY": ", ,:443,x/y"}, VIA),
    Case("the network is exempt", "https://10.96.0.1", {"HTTPS_PROXY": VIA, "NO_PROXY": "x, 10.96.0.0/12"}, None),
    Case("a host with a mask", "https://10.96.0.1", {"HTTPS_PROXY": VIA, "NO_PROXY": "10.96.0.1/12"}, None),
    Case("the IPv6 network is exempt", "https://[fd00::1]:443", {"HTTPS_PROXY": VIA, "no_proxy": "fd00::/8"}, None),
    Case("another network is exempt", "https://10.96.0.1", {"HTTPS_PROXY": VIA, "NO_PROXY": "192.168.0.0/16"}, VIA),
    Case("everything is exempt", "https://k8s.example", {"HTTPS_PROXY": VIA, "NO_PROXY": "*"}, None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_environment_names_the_proxy(case: Case) -> None:
    chosen = proxy_for(case.server, case.environ)
    assert (chosen.url if chosen else None) == case.proxy


def test_credentials_go_into_a_header_and_not_into_the_address() -> None:
    proxy = read_proxy("http://me:p%40ss-word@proxy:3128")
    assert proxy == Proxy(
        url=VIA, authorization="Basic bWU6cEBzcy13b3Jk", secrets=("bWU6cEBzcy13b3Jk", "p%40ss-word", "p@ss-word")
    )
    assert all(secret not in repr(proxy) for secret in proxy.secrets)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("socks5://me:secret-word@proxy:1080", "socks5:// is not supported"),
        ("http://", "not a proxy address"),
        ("http://a..b:3128", "not a proxy address"),
        ("http://proxy:99999", "not a proxy address"),
        (f"http://{'a' * 70}:3128", "not a proxy address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_by_the_variable_s_name(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        proxy_for("https://k8s.example", {"HTTPS_PROXY": text})
    assert str(error.value).startswith("HTTPS_PROXY: ")
    assert "secret-word" not in str(error.value)
