"""Walking the pages of ListSession: the one way from the first page to the last, with the one guard against lists that
have no last page.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .client import Listed, SessionClient

PAGE: Final = 100
BARREN: Final = 3
"""Pages in a row without anything new after which a walk gives up; one or two may well come before more."""


@dataclass(kw_only=True, slots=True, eq=False)
class PageWalk:
    """One walk, page by page."""

    client: SessionClient
    labels: Mapping[str, str]
    """What the sessions carry; with none it is all of the account's."""
    walked: int = field(init=False, default=0)
    """Pages so far."""
    listed: set[str] = field(init=False, default_factory=set)
    """Ids of the sessions so far."""
    ended: bool = field(init=False, default=False)
    endless: bool = field(init=False, default=False)
    """It was given up: there may be sessions that it has not come to."""
    _token: str = field(init=False, default="")
    _asked: set[str] = field(init=False, default_factory=set)
    _barren: int = field(init=False, default=0)

    async def next_page(self) -> Listed:
        """Ask for the next page; raises any `AgbError`."""
        page = await self.client.list_page(labels=self.labels, token=self._token, size=PAGE)
        self.walked += 1
        fresh = {seen.session_id for seen in page.sessions} - self.listed
        self.listed |= fresh
        self._barren = 0 if fresh else self._barren + 1
        self._asked.add(self._token)
        self._token = page.next_token
        # A token that has been followed already leads in a circle, all of which has been walked then.
        walked_all = not page.next_token or page.next_token in self._asked
        self.endless = not walked_all and self._barren == BARREN
        self.ended = walked_all or self.endless
        return page
