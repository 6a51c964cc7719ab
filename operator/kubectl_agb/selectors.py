"""`-l` as kubectl reads it. Source: `labels.Parse` of k8s.io/apimachinery."""

import re
from typing import Any, Final

from agb_operator.model.selector import LabelSelector, read_selector

from .errors import WrongUsage

_PARTS: Final = re.compile(r"(?:[^,(]|\([^)]*\))+")
_SET: Final = re.compile(r"(\S+)\s+(in|notin)\s*\(([^)]*)\)")
_EQUAL: Final = re.compile(r"([^\s=!]+)\s*(==|=|!=)\s*(\S*)")
_EXISTS: Final = re.compile(r"(!?)\s*([^\s=!]+)")
_OPERATORS: Final = {"in": "In", "notin": "NotIn", "=": "In", "==": "In", "!=": "NotIn"}


def parse_selector(text: str) -> LabelSelector:
    """Read a selector such as `team=ml,env!=prod,tier in (a,b),!legacy`; an empty one selects everything.

    Raises:
        WrongUsage: it is none.
    """
    problems: list[str] = []
    wanted = [_requirement(part.strip(), text) for part in _PARTS.findall(text)] if text.strip() else []
    selector = read_selector({"matchExpressions": wanted}, "-l", problems)
    if selector is None:
        raise WrongUsage(f"-l {text}: " + problems[0].partition(": ")[2])
    return selector


def _requirement(part: str, text: str) -> dict[str, Any]:
    if found := _SET.fullmatch(part):
        key, operator, values = found[1], _OPERATORS[found[2]], [value.strip() for value in found[3].split(",")]
        return {"key": key, "operator": operator, "values": values}
    if found := _EQUAL.fullmatch(part):
        return {"key": found[1], "operator": _OPERATORS[found[2]], "values": [found[3]]}
    if found := _EXISTS.fullmatch(part):
        return {"key": found[2], "operator": "DoesNotExist" if found[1] else "Exists"}
    raise WrongUsage(f"-l {text}: this is not a label selector such as team=ml,env!=prod")
