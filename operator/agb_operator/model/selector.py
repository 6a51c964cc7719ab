"""A label selector as a typed value: reading one never raises, and says what is wrong with it.

Source of the rules: metav1.LabelSelector and `labels.Requirement` of k8s.io/apimachinery.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LONGEST_PREFIX: Final = 253
_LONGEST_NAME: Final = 63


class Operator(StrEnum):
    """How a requirement compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirement:
    """One condition on the labels of an object."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels meet it; an absent key meets `NotIn`, as everywhere in Kubernetes."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSelector:
    """All requirements must be met; without any, it selects everything."""

    labels: tuple[tuple[str, str], ...] = ()
    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels is selected."""
        for key, value in self.labels:
            if labels.get(key) != value:
                return False
        return all(requirement.met_by(labels) for requirement in self.requirements)


def read_selector(value: object, path: str, problems: list[str]) -> LabelSelector | None:
    """Read the selector found at `path`; None, and what is wrong in `problems`, when it cannot be used."""
    if not isinstance(value, Mapping):
        problems.append(f"{path} must be a label selector; {{}} selects every AgbSession of the namespace")
        return None
    found: list[str] = []
    labels = _labels(value.get("matchLabels"), f"{path}.matchLabels", found)
    requirements = _requirements(value.get("matchExpressions"), f"{path}.matchExpressions", found)
    problems += found
    return None if found else LabelSelector(labels=labels, requirements=requirements)


def _labels(value: object, path: str, problems: list[str]) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        problems.append(f"{path} must be a map of labels")
        return ()
    for key, text in value.items():
        _check_key(key, path, problems)
        _check_value(text, f"{path}[{key}]", problems)
    return tuple((str(key), str(text)) for key, text in value.items())


def _requirements(value: object, path: str, problems: list[str]) -> tuple[Requirement, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        problems.append(f"{path} must be a list")
        return ()
    read = (_requirement(entry, f"{path}[{index}]", problems) for index, entry in enumerate(value))
    return tuple(requirement for requirement in read if requirement is not None)


def _requirement(entry: Any, path: str, problems: list[str]) -> Requirement | None:
    if not isinstance(entry, Mapping) or entry.get("operator") not in tuple(Operator):
        problems.append(f"{path}.operator must be In, NotIn, Exists or DoesNotExist")
        return None
    operator, values = Operator(entry["operator"]), entry.get("values") or ()
    if not isinstance(values, list | tuple) or bool(values) != (operator in (Operator.IN, Operator.NOT_IN)):
        problems.append(f"{path}: In and NotIn need values; Exists and DoesNotExist take none")
        return None
    _check_key(entry.get("key"), f"{path}.key", problems)
    for text in values:
        _check_value(text, f"{path}.values", problems)
    return Requirement(key=str(entry.get("key")), operator=operator, values=frozenset(map(str, values)))


def _check_key(key: object, path: str, problems: list[str]) -> None:
    prefix, slash, name = str(key).rpartition("/")
    fits = len(prefix) <= _LONGEST_PREFIX and len(name) <= _LONGEST_NAME
    if not (isinstance(key, str) and fits and _NAME.fullmatch(name) and (not slash or _PREFIX.fullmatch(prefix))):
        problems.append(f"{path}: '{key}' is not a label key, such as team or example.com/team")


def _check_value(value: object, path: str, problems: list[str]) -> None:
    if not (isinstance(value, str) and (not value or (len(value) <= _LONGEST_NAME and _NAME.fullmatch(value)))):
        problems.append(f"{path}: '{value}' is not a label value: at most 63 letters, digits, '-', '_' and '.'")
