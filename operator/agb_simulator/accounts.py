"""Accounts and their keys: who may see which sessions, and in what order they are listed.

Owns authentication and the two indexes that make ListSession cheap at ten thousand sessions: sessions in
order of creation, and for each label pair the sessions that carry it, in the same order. Those that have left
are remembered for a while, for lists that are behind.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agb_simulator.effects import LIST_HISTORY
from agb_simulator.sessions import Session
from agb_simulator.wire import ApiError


def fingerprint(key: str) -> str:
    """Twelve hex digits that name a key in logs and dumps without giving it away."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def label_pairs(labels: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The pairs the label index is keyed by; values count by their JSON text, so `1` is not `"1"`."""
    return frozenset((name, json.dumps(value, sort_keys=True)) for name, value in labels.items())


def _number(session: Session) -> int:
    return session.number


@dataclass(frozen=True, kw_only=True, slots=True)
class _Departed:
    """A session that is listed no more, since when, and the labels by which it was found."""

    session: Session
    at: float
    labels: frozenset[tuple[str, str]]


class Account:
    """The sessions of one account. Several keys may open the same account (rotation)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.live = 0
        self._listed: list[Session] = []
        self._departed: deque[_Departed] = deque()
        self._by_label: dict[tuple[str, str], list[Session]] = {}

    def add(self, session: Session) -> None:
        """List a session, without labels so far."""
        insort(self._listed, session, key=_number)

    def remove(self, session: Session, now: float) -> None:
        """Take a session out of every list; lists of a time before `now` still show it."""
        self._departed.append(_Departed(session=session, at=now, labels=session.seen_labels))
        while self._departed[0].at < now - LIST_HISTORY:
            self._departed.popleft()
        self.relabel(session, {})
        _drop(self._listed, session)

    def relabel(self, session: Session, labels: Mapping[str, Any]) -> None:
        """Let ListSession's filter see `labels` on the session instead of the ones it saw so far."""
        for pair in session.seen_labels:
            holders = self._by_label[pair]
            _drop(holders, session)
            if not holders:
                del self._by_label[pair]
        session.seen_labels = label_pairs(labels)
        for pair in session.seen_labels:
            insort(self._by_label.setdefault(pair, []), session, key=_number)

    def matching(self, labels: Mapping[str, Any]) -> Sequence[Session]:
        """The listed sessions that carry all of `labels`, in order of creation. Not a copy: read only."""
        if not labels:
            return self._listed
        wanted = label_pairs(labels)
        fewest = min((self._by_label.get(pair, []) for pair in wanted), key=len)
        return fewest if len(wanted) == 1 else [s for s in fewest if wanted <= s.seen_labels]

    def still_matching(self, labels: Mapping[str, Any], *, since: float) -> Sequence[Session]:
        """As `matching`, with those that have left after clock time `since`."""
        wanted = label_pairs(labels)
        left = {d.session for d in self._departed if d.at > since and wanted <= d.labels}
        return sorted({*self.matching(labels), *left}, key=_number)


def _drop(sessions: list[Session], session: Session) -> None:
    at = bisect_left(sessions, session.number, key=_number)
    if at < len(sessions) and sessions[at] is session:
        del sessions[at]


class Keyring:
    """API keys by fingerprint, so that no key is kept; and the accounts they open."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._opens: dict[str, Account] = {}
        self._revoked: set[str] = set()
        self._no_pause: set[str] = set()

    def add(self, key: str, *, shares_with: str | None = None) -> Account:
        """Register a key (again, if it was revoked), on the account of `shares_with` or on its own."""
        mark = fingerprint(key)
        if shares_with is not None:
            self._opens[mark] = self._open(fingerprint(shares_with))
        self._revoked.discard(mark)
        return self._open(mark)

    def opened_by(self, key: str) -> Account:
        """The account of a key, which stays revoked if it is."""
        return self._open(fingerprint(key))

    def revoke(self, key: str) -> None:
        """Refuse a key from now on. The account and its sessions stay."""
        self._revoked.add(fingerprint(key))

    def allow_pause(self, key: str, allowed: bool) -> None:
        """Switch pause and resume on or off for a key, as AGB does for accounts outside its whitelist."""
        (self._no_pause.discard if allowed else self._no_pause.add)(fingerprint(key))

    def may_pause(self, mark: str) -> bool:
        """Whether the key with this fingerprint may call pause and resume."""
        return mark not in self._no_pause

    def authenticate(self, header: str | None, *, accept_any: bool) -> tuple[str, Account]:
        """Return fingerprint and account for an `authorization` header; raises `ApiError` 401."""
        scheme, _, key = (header or "").partition(" ")
        key = key.strip()
        if not key or scheme.lower() != "bearer":
            raise ApiError(401, "InvalidApiKey", "The authorization header must be 'Bearer <API key>'.")
        mark = fingerprint(key)
        if mark in self._revoked or not (accept_any or mark in self._opens):
            raise ApiError(401, "InvalidApiKey", "The API key is not valid.")
        return mark, self._open(mark)

    def account(self, name: str) -> Account:
        """The account of this name; a new one if there is none."""
        return self.accounts.setdefault(name, Account(name))

    def dump(self) -> list[dict[str, Any]]:
        """Every key seen, by fingerprint, for the state dump."""
        return [
            {
                "key": mark,
                "account": account.name,
                "revoked": mark in self._revoked,
                "pauseAllowed": self.may_pause(mark),
            }
            for mark, account in self._opens.items()
        ]

    def _open(self, mark: str) -> Account:
        account = self._opens.get(mark)
        if account is None:
            account = self._opens[mark] = self.account(f"account-{len(self.accounts) + 1}")
        return account
