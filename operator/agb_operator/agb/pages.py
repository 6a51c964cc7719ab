"""Walking the pages of ListSession: the one way from the first page to the last, with the one guard against circles."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .client import Listed, SessionClient

PAGE: Final = 100


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
    _token: str = field(init=False, default="")

    async def next_page(self) -> Listed:
        """Ask for the next page; raises any `AgbError`."""
        page = await self.client.list_page(labels=self.labels, token=self._token, size=PAGE)
        self.walked += 1
        fresh = {seen.session_id for seen in page.sessions} - self.listed
        self.listed |= fresh
        self._token = page.next_token
        # A page that brings nothing new ends the walk: a list that repeats itself would never end.
        self.ended = not page.next_token or not fresh
        return page
