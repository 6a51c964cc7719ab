"""A walk comes to the last page if there is one, and knows when it has not come there."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from agb_operator.agb.client import Listed
from agb_operator.agb.pages import BARREN, PageWalk
from agb_operator.model.states import Observation, SessionState

A, B, NONE = ["a"], ["b"], list[str]()


class Lists:
    """ListSession with these pages: what each is asked for with, what it holds, and the token that it gives."""

    def __init__(self, pages: Mapping[str, tuple[Sequence[str], str]]) -> None:
        self._pages = pages

    async def list_page(self, *, labels: Mapping[str, str], token: str, size: int) -> Listed:
        ids, next_token = self._pages[token]
        rows = [Observation(session_id=id_, state=SessionState.RUNNING, status="RUNNING", taken_at=0) for id_ in ids]
        return Listed(sessions=rows, next_token=next_token, total=None)


def barren(count: int, *, then: tuple[Sequence[str], str]) -> dict[str, tuple[Sequence[str], str]]:
    """Make so many empty pages one after the other, and one more."""
    empty = {str(number or ""): (NONE, str(number + 1)) for number in range(count)}
    return {**empty, str(count): then}


NOW_AND_THEN: Mapping[str, tuple[Sequence[str], str]] = {
    str(number or ""): ([str(number)] if number % 2 else NONE, str(number + 1) if number < 20 else "")
    for number in range(21)
}


@pytest.mark.parametrize(
    ("pages", "listed", "walked", "endless"),
    [
        pytest.param({"": (A, "")}, {"a"}, 1, False, id="one page"),
        pytest.param({"": (A, "2"), "2": (B, "")}, {"a", "b"}, 2, False, id="two pages"),
        pytest.param({"": (A, "2"), "2": (B, "2")}, {"a", "b"}, 2, False, id="the last page leads to itself"),
        pytest.param({"": (A, "2"), "2": (B, "1"), "1": (A, "2")}, {"a", "b"}, 3, False, id="to the first page"),
        pytest.param({"": (NONE, "2"), "2": (A, "")}, {"a"}, 2, False, id="an empty page before one with rows"),
        pytest.param({"": (A, "2"), "2": (A, "3"), "3": (B, "")}, {"a", "b"}, 3, False, id="a page that comes twice"),
        pytest.param(barren(BARREN - 1, then=(A, "")), {"a"}, BARREN, False, id="empty pages before one with rows"),
        pytest.param(barren(BARREN - 1, then=(NONE, "")), set(), BARREN, False, id="empty pages, and the last"),
        pytest.param(barren(BARREN, then=(A, "")), set(), BARREN, True, id="too many empty pages"),
        pytest.param(NOW_AND_THEN, set(map(str, range(1, 21, 2))), 21, False, id="every other page is empty"),
    ],
)
async def test_the_walk(pages: Any, listed: set[str], walked: int, endless: bool) -> None:
    client: Any = Lists(pages)
    walk = PageWalk(client=client, labels={})
    while not walk.ended:
        await walk.next_page()
    assert (walk.listed, walk.walked, walk.endless) == (listed, walked, endless)
