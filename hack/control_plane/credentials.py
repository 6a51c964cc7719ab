"""Who may talk to the control plane: bearer tokens, the service-account key, kubeconfig files.

Everything is made with the standard library, since this runs before any package is installed. The serving
certificate is the API server's own doing: it signs one for 127.0.0.1 with a fresh authority and writes both
to one file, which clients take as their certificate authority. Nothing here is worth protecting beyond its
throw-away control plane; the files are for the owner's eyes all the same.
"""

import base64
import csv
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

# SEC 1, appendix C.4: ECPrivateKey ::= SEQUENCE { version 1, privateKey OCTET STRING, [0] curve }. The
# public key is optional and the reader derives it: a random number below the group order is all it takes.
_EC_HEAD = bytes.fromhex("30310201010420")
_EC_CURVE_P256 = bytes.fromhex("a00a06082a8648ce3d030107")
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A user the API server knows by a static token."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, never visible half written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.replace(path)
    return path


def write_service_account_key(path: Path) -> Path:
    """Write a new private key for signing ServiceAccount tokens, PEM."""
    number = 1 + secrets.randbelow(_P256_ORDER - 1)
    der = _EC_HEAD + number.to_bytes(32, "big") + _EC_CURVE_P256
    body = base64.b64encode(der).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return write_private(
        path, "\n".join(["-----BEGIN EC PRIVATE KEY-----", *lines, "-----END EC PRIVATE KEY-----", ""])
    )


def write_token_file(path: Path, users: list[User]) -> Path:
    """Write the API server's static token file: token, name, uid, groups."""
    partial = write_private(path, "")
    with partial.open("w", newline="") as file:
        csv.writer(file).writerows([user.token, user.name, user.name, ",".join(user.groups)] for user in users)
    return path


def write_kubeconfig(path: Path, *, server: str, ca: bytes, user: str, token: str, namespace: str = "default") -> Path:
    """Write a kubeconfig with the certificate authority inside; in JSON, which is YAML to every client."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "control-plane",
        "clusters": [
            {
                "name": "control-plane",
                "cluster": {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()},
            }
        ],
        "contexts": [
            {
                "name": "control-plane",
                "context": {"cluster": "control-plane", "user": user, "namespace": namespace},
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
    }
    return write_private(path, json.dumps(config, indent=2) + "\n")
