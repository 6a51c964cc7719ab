"""ListSession's pages: tokens, limits and the slice of sessions a page holds.

A token of the default kind (`cursor`) names the last session seen, so that pages stay whole while sessions
come and go. The other kind (`offset`) counts positions, as many services do, and so skips sessions when
earlier ones leave between two reads. Both count from 0, which stands for the first page.
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


def cut_page(
    matching: Sequence[Session], *, token: str | None, size: int, paging: str, endless: str | None = None
) -> Page:
    """Cut the page a token asks for; raises `ApiError` 400 for a token that was never given out.

    `endless` is the way in which there is no last page, one of `EndlessPages.how`.
    """
    kind, number = _read(token) if token else ("after", 0)
    start = number if kind == "offset" else bisect_right(matching, number, key=lambda s: s.number)
    sessions = matching[start : start + size]
    word = "offset" if paging == "offset" else "after"
    last = start + size >= len(matching)
    match endless:
        case "same_token":
            next_token = token or _token(word, 0)
        case "circle" if last:
            next_token = _token(word, 0)
        case "new_tokens" if last:
            seen = [number, *(session.number for session in sessions)]
            next_token = _token(word, start + size if word == "offset" else max(seen) + 1)
        case _ if last:
            next_token = ""
        case _:
            next_token = _token(word, start + size if word == "offset" else sessions[-1].number)
    return Page(sessions=sessions, next_token=next_token)


def _token(word: str, number: int) -> str:
    return base64.b64encode(f"{word}={number}".encode()).decode()


def _read(token: str) -> tuple[str, int]:
    try:
        text = base64.b64decode(token, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = re.fullmatch(r"(after|offset)=([0-9]{1,12})", text, re.ASCII)
    if found is None:
        raise invalid_parameter("nextToken is not valid.")
    return found[1], int(found[2])
