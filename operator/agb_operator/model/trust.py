"""Whom a TLS connection trusts: as kubectl and curl do, under each Python alike.

`ssl.create_default_context` is not used: since Python 3.13 it switches on OpenSSL's strict checks, which refuse
certificate authorities that clusters and companies use (no key usage, no key identifiers, basic constraints not
critical, version 1), and it takes an intermediate authority as the end of a chain, which older ones refuse. The chain,
the time and the name are always checked. Owns what counts as trusted; the bundles are read by those who connect.
"""

import re
import ssl
from typing import Final

_BLOCK: Final = re.compile(r"-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----.*?(?=-----BEGIN|\Z)", re.DOTALL)


def client_context() -> ssl.SSLContext:
    """Make the context of a client that trusts nobody yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def trust(context: ssl.SSLContext, bundle: bytes) -> tuple[int, ...]:
    """Trust the certificates of a PEM bundle; returns the numbers of its blocks that hold none, counted from 1.

    Go skips such a block, OpenSSL refuses the whole bundle.

    Raises:
        ValueError: there is no certificate in it.
    """
    text = bundle.decode("ascii", "replace").replace("\ufffd", "?")  # comments may be in any language
    try:
        context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        pass
    else:
        return ()
    blocks = [block[0] for block in _BLOCK.finditer(text)]
    broken = [number for number, block in enumerate(blocks, start=1) if not _trusted(context, block)]
    if len(broken) == len(blocks):
        raise ValueError("there is no certificate in it (PEM, -----BEGIN CERTIFICATE-----)")
    return tuple(broken)


def _trusted(context: ssl.SSLContext, block: str) -> bool:
    try:
        context.load_verify_locations(cadata=block)
    except (ssl.SSLError, ValueError):
        return False
    return True
