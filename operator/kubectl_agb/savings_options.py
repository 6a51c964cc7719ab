"""What the options of a report mean: groups, months and rates, each with a word on what is right."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from agb_operator.policy.intent import SCHEDULE
from agb_operator.policy.usage import kept_months

from .errors import WrongUsage
from .savings import Grouping, Rates

NO_GROUP: Final = "(none)"
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)


def read_grouping(text: str, *, all_namespaces: bool) -> Grouping:
    """Read `--by`.

    Raises:
        WrongUsage: it names no group.
    """
    kind, _, key = text.partition(":")
    if kind == "label" and key:
        return Grouping(heading=key, of=lambda body: (body["metadata"].get("labels") or {}).get(key) or NO_GROUP)
    if text == "namespace":
        return Grouping(heading=text, of=lambda body: str(body["metadata"]["namespace"]))
    if text == "image":
        return Grouping(heading=text, of=lambda body: str(body["spec"].get("imageId") or "(adopted)"))
    if text == "schedule":
        return Grouping(heading=text, of=lambda body: _schedule(body, all_namespaces=all_namespaces))
    raise WrongUsage(f"--by {text}: say namespace, label:KEY such as label:team, image or schedule")


def _schedule(body: Mapping[str, Any], *, all_namespaces: bool) -> str:
    why = str((body.get("status") or {}).get("why") or "")
    if not why.startswith(SCHEDULE):
        return NO_GROUP
    name = why.removeprefix(SCHEDULE)
    return f"{body['metadata']['namespace']}/{name}" if all_namespaces else name


def read_month(text: str) -> str:
    """Read `--month`; "" where none is said.

    Raises:
        WrongUsage: it is none.
    """
    if text and not _MONTH.fullmatch(text):
        raise WrongUsage(f"--month {text}: say a year and a month, such as 2026-11")
    return text


def known_month(text: str, now: datetime) -> str:
    """Give the month that is meant: this one where none is said.

    Raises:
        WrongUsage: nothing can be known of it.
    """
    months = kept_months(now)
    if not text:
        return months[-1]
    if text > months[-1]:
        raise WrongUsage(f"--month {text} has not begun; it is {months[-1]} now, by UTC")
    if text < months[0]:
        raise WrongUsage(f"--month {text} is no longer known: 13 months are kept, {months[0]} to {months[-1]}")
    return text


def read_rates(running: str, paused: str, currency: str) -> Rates | None:
    """Read the rates; None where there are none.

    Raises:
        WrongUsage: one of two is missing, or is none.
    """
    if not running and not paused:
        return None
    if not running or not paused:
        missing = "--rate-paused" if running else "--rate-running"
        raise WrongUsage(f"{missing} is missing: money needs both rates, for one hour each; 0 if an hour costs nothing")
    rates = Rates(running=_rate("--rate-running", running), paused=_rate("--rate-paused", paused))
    return replace(rates, currency=currency)


def _rate(option: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0.0 <= rate < math.inf:
        raise WrongUsage(f"{option} {text}: say what one hour costs, 0 or more, such as 0.12")
    return rate
