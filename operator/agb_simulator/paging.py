"""ListSession's pages: tokens, limits and the slice of sessions a page holds.

A token of the default kind (`cursor`) names the last session seen, so that pages stay whole while sessions
come and go. The other kind (`offset`) counts positions, as many services do, and so skips sessions when
earlier ones leave between two reads.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from agb_simulator.sessions import Session
from agb_simulator.settings import DEFAULT_PAGE_SIZE
from agb_simulator.wire import invalid_parameter


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some of the sessions that match, and the token for the rest (empty on the last page)."""

    sessions: Sequence[Session]
    next_token: str


def page_size(text: str | None, *, largest: int) -> int:
    """Read `maxResults`; raises `ApiError` 400 unless it is a decimal number from 1 to `largest`."""
    if text is None:
        return min(DEFAULT_PAGE_SIZE, largest)
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not 1 <= int(text) <= largest:
        raise invalid_parameter(f"maxResults must be a number from 1 to {largest}.")
    return int(text)


def cut_page(matching: Sequence[Session], *, token: str | None, size: int, paging: str) -> Page:
    """Cut the page a token asks for; raises `ApiError` 400 for a token that was never given out."""
    start = _start(matching, token) if token else 0
    sessions = matching[start : start + size]
    if start + size >= len(matching):
        return Page(sessions=sessions, next_token="")
    mark = f"offset={start + size}" if paging == "offset" else f"after={sessions[-1].number}"
    return Page(sessions=sessions, next_token=base64.b64encode(mark.encode()).decode())


def _start(matching: Sequence[Session], token: str) -> int:
    try:
        text = base64.b64decode(token, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = re.fullmatch(r"(after|offset)=([0-9]{1,12})", text, re.ASCII)
    if found is None:
        raise invalid_parameter("nextToken is not valid.")
    number = int(found[2])
    return number if found[1] == "offset" else bisect_right(matching, number, key=lambda s: s.number)
