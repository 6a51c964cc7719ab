"""Label selectors: whom they select, and what is wrong with those that cannot be used."""

from typing import Any

import pytest

from agb_operator.model.selector import LabelSelector, read_selector

LABELS = {"team": "ml", "sleep": "late"}


def read(value: Any) -> tuple[LabelSelector | None, list[str]]:
    problems: list[str] = []
    return read_selector(value, "spec.selector", problems), problems


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("value", "selects"),
    [
        ({}, True),
        ({"matchLabels": {"team": "ml"}}, True),
        ({"matchLabels": {"team": "ml", "sleep": "never"}}, False),
        ({"matchLabels": {"color": ""}}, False),
        (expression("team", "In", "vision", "ml"), True),
        (expression("team", "In", "vision"), False),
        (expression("color", "In", "red"), False),
        (expression("sleep", "NotIn", "never"), True),
        (expression("sleep", "NotIn", "late"), False),
        (expression("color", "NotIn", "red"), True),
        (expression("team", "Exists"), True),
        (expression("color", "Exists"), False),
        (expression("team", "DoesNotExist"), False),
        (expression("color", "DoesNotExist"), True),
        ({"matchLabels": {"team": "ml"}, **expression("sleep", "NotIn", "late")}, False),
        ({"matchLabels": None, "matchExpressions": None}, True),
    ],
)
def test_whom_it_selects(value: Any, selects: bool) -> None:
    selector, problems = read(value)

    assert problems == []
    assert selector is not None
    assert selector.matches(LABELS) is selects


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "spec.selector must be a label selector; {} selects every AgbSession of the namespace"),
        ({"matchLabels": ["team"]}, "spec.selector.matchLabels must be a map of labels"),
        ({"matchLabels": {"not a key": "x"}}, "spec.selector.matchLabels: 'not a key' is not a label key"),
        ({"matchLabels": {"a/b/c": "x"}}, "spec.selector.matchLabels: 'a/b/c' is not a label key"),
        ({"matchLabels": {"Example.com/t": "x"}}, "spec.selector.matchLabels: 'Example.com/t' is not a label key"),
        ({"matchLabels": {"k" * 64: "x"}}, f"spec.selector.matchLabels: '{'k' * 64}' is not a label key"),
        ({"matchLabels": {"team": "-ml"}}, "spec.selector.matchLabels[team]: '-ml' is not a label value"),
        ({"matchLabels": {"team": 7}}, "spec.selector.matchLabels[team]: '7' is not a label value"),
        ({"matchExpressions": {}}, "spec.selector.matchExpressions must be a list"),
        (expression("team", "in", "ml"), "spec.selector.matchExpressions[0].operator must be In, NotIn, Exists or"),
        (expression("team", "In"), "spec.selector.matchExpressions[0]: In and NotIn need values"),
        (expression("team", "Exists", "ml"), "spec.selector.matchExpressions[0]: In and NotIn need values"),
        (expression("not a key", "Exists"), "spec.selector.matchExpressions[0].key: 'not a key' is not a label key"),
        (
            expression("team", "In", "no value!"),
            "spec.selector.matchExpressions[0].values: 'no value!' is not a label value",
        ),
    ],
)
def test_one_that_cannot_be_used_says_why(value: Any, says: str) -> None:
    selector, problems = read(value)

    assert selector is None
    assert [problem[: len(says)] for problem in problems] == [says]


@pytest.mark.parametrize("key", ["team", "example.com/team", "a.b-c_d", "K8S", f"{'d' * 253}/{'n' * 63}"])
def test_keys_that_kubernetes_takes(key: str) -> None:
    assert read({"matchLabels": {key: "ok"}})[1] == []


@pytest.mark.parametrize("text", ["", "ml", "A.b_c-1", "v" * 63])
def test_values_that_kubernetes_takes(text: str) -> None:
    assert read({"matchLabels": {"team": text}})[1] == []
