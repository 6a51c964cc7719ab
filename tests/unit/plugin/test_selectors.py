"""`-l` is read as kubectl reads it."""

import pytest

from kubectl_agb.errors import WrongUsage
from kubectl_agb.selectors import parse_selector

LABELS = {"team": "ml", "env": "test", "example.com/tier": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("team=ml", True),
        ("team==ml", True),
        ("team = ml", True),
        ("team!=ml", False),
        ("absent!=ml", True),
        ("team in (web,ml)", True),
        ("team in (web)", False),
        ("team notin (web, db)", True),
        ("absent notin (web)", True),
        ("team", True),
        ("!team", False),
        ("!absent", True),
        ("team=ml,env=test", True),
        ("team=ml, env=prod", False),
        ("team in (web,ml),env notin (prod),!absent", True),
        ("example.com/tier=", True),
    ],
)
def test_it_selects(text: str, matches: bool) -> None:
    assert parse_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["a b", "=x", "team=a b", "team in ml", "team in (a", "bad key=x", "a=-", "/x=y"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match=r"^-l "):
        parse_selector(text)
