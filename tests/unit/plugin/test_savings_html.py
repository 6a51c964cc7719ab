"""The report as a file: it opens without a network, and nothing of the cluster becomes markup."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

from kubectl_agb.savings import Rates, Report, Sums
from kubectl_agb.savings_html import page

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ML = Sums(sessions=2, running_seconds=3600, paused_seconds=3 * 3600, pauses=4, resumes=3)
WEB = Sums(sessions=1, running_seconds=2 * 3600)


def a_report(*groups: tuple[str, Sums], months: int = 3, rates: Rates | None = None) -> Report:
    return Report(
        heading="team",
        month="2026-11",
        at=NOW,
        groups=groups,
        total=ML,
        months=[(f"2026-{number:02}", ML) for number in range(12 - months, 12)],
        rates=rates,
    )


class Page(HTMLParser):
    """What a browser would see: tags and their attributes, texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if attrs.get("class") == name]


def test_every_tag_is_closed_and_nothing_is_fetched() -> None:
    text = page(a_report(("ml", ML), ("web", WEB)))
    seen = Page(text)

    assert seen.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in seen.tags}
    assert not re.search(r"https?:|url\(|@import", text)
    assert not any({"href", "src", "srcset"} & set(attrs) for _, attrs in seen.tags)


def test_a_bar_for_each_group_is_as_long_as_its_time() -> None:
    seen = Page(page(a_report(("ml", ML), ("web", WEB))))

    assert [attrs["style"] for attrs in seen.of_class("running") if "style" in attrs] == [
        "width:25.00%",
        "width:50.00%",
    ]
    assert [attrs["style"] for attrs in seen.of_class("paused") if "style" in attrs] == ["width:75.00%"]


def test_a_line_goes_through_the_months_and_one_month_alone_has_none() -> None:
    seen = Page(page(a_report(("ml", ML))))

    lines = [attrs["d"] for attrs in seen.of_class("l-paused")]
    assert lines == ["M0.0 0.0L500.0 0.0L1000.0 0.0", "M0.0 0.0h0M500.0 0.0h0M1000.0 0.0h0"]
    assert not [tag for tag, _ in Page(page(a_report(("ml", ML), months=1))).tags if tag == "svg"]


def test_the_table_has_every_group_and_money_only_with_rates() -> None:
    plain = Page(page(a_report(("ml", ML))))
    priced = Page(page(a_report(("ml", ML), rates=Rates(running=2, paused=1, currency="<EUR>"))))

    assert {"ml", "75 %", "Total"} <= set(plain.texts)
    assert "saved" not in plain.texts
    assert {"saved", "cost", "3.00 <EUR>", "5.00 <EUR>"} <= set(priced.texts)


def test_names_from_the_cluster_are_text_and_never_markup() -> None:
    seen = Page(page(a_report(('<script>alert("x")</script>', ML))))

    assert "script" not in {tag for tag, _ in seen.tags}
    assert '<script>alert("x")</script>' in seen.texts


def test_a_fleet_without_sessions_is_a_page_too() -> None:
    empty = Report(heading="team", month="2026-11", at=NOW, groups=[])

    assert Page(page(empty)).open == []
