"""`kubectl agb report`: reads the AgbSessions, has them summed or listed, and writes the answer."""

import csv
import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from agb_operator.model.status import timestamp

from .cluster import Cluster, in_cluster
from .errors import WrongUsage
from .options import Where
from .output import paragraph, table, write_object, write_objects
from .savings import MONEY, Report, Sleeper, Sums, money_cells, notes, report, sleepers, usage_cells
from .savings_options import known_month, read_grouping, read_month, read_rates
from .selectors import parse_selector
from .times import read_duration


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was asked for, in the words of the command line."""

    where: Where
    selector: str
    by: str
    month: str
    sort: str
    rate_running: str
    rate_paused: str
    currency: str


def sum_up(asked: Request) -> Report:
    """Sum up what the sessions used.

    Raises:
        WrongUsage: a word is wrong.
        Failed: the cluster does not answer.
    """
    month = read_month(asked.month)
    grouping = read_grouping(asked.by, all_namespaces=asked.where.everywhere)
    rates = read_rates(asked.rate_running, asked.rate_paused, asked.currency)
    if asked.sort in MONEY and rates is None:
        raise WrongUsage(f"--sort {asked.sort} needs --rate-running and --rate-paused")
    bodies, now = _read(asked.where, asked.selector)
    which = known_month(month, now)
    return report(bodies, grouping=grouping, month=which, now=now, sort=asked.sort, rates=rates)


def find_sleepers(where: Where, selector: str, asleep_for: str) -> tuple[list[Sleeper], datetime]:
    """Give the sessions that have slept so long, and the time of day. Raises as `sum_up` does."""
    longer_than = read_duration(asleep_for, "--asleep-for")
    bodies, now = _read(where, selector)
    return sleepers(bodies, longer_than=longer_than, now=now), now


def _read(where: Where, selector: str) -> tuple[list[dict[str, Any]], datetime]:
    parse_selector(selector)
    gc.disable()  # all that is read lives until the end; to look through it again and again takes a third of the time

    async def work(cluster: Cluster) -> tuple[list[dict[str, Any]], datetime]:
        found = await cluster.sessions(None if where.everywhere else cluster.namespace, selector)
        return found, cluster.now()

    return in_cluster(where.namespace, where.context, work)


def write_report(found: Report, output: str) -> None:
    """Write a report as a table, CSV, JSON, YAML or HTML."""
    if output == "html":
        from .savings_html import page

        click.echo(page(found))
    elif output == "csv":
        rows = [_values(found, name, sums) for name, sums in found.groups]
        _write_csv(list(_values(found, "", found.total)), [list(row.values()) for row in rows])
    elif output == "table":
        _write_table(found)
    else:
        write_object(_as_object(found), output)


def _values(found: Report, group: str, sums: Sums) -> dict[str, Any]:
    """Give a row for programs: exact seconds, money in cents."""
    values: dict[str, Any] = {
        "group": group,
        "sessions": sums.sessions,
        "runningSeconds": sums.running_seconds,
        "pausedSeconds": sums.paused_seconds,
        "asleep": round(sums.asleep, 4),
        "pauses": sums.pauses,
        "resumes": sums.resumes,
    }
    if found.rates is not None:
        values |= {"cost": round(found.rates.cost(sums), 2), "saved": round(found.rates.saved(sums), 2)}
    return values


def _as_object(found: Report) -> Mapping[str, Any]:
    total = _values(found, "", found.total)
    del total["group"]
    rates = found.rates
    return {
        "by": found.heading,
        "month": found.month,
        "countedUntil": timestamp(found.at),
        **({} if rates is None else {"currency": rates.currency}),
        "groups": [_values(found, name, sums) for name, sums in found.groups],
        "total": total,
        "months": [
            {"month": month, "runningSeconds": sums.running_seconds, "pausedSeconds": sums.paused_seconds}
            for month, sums in found.months
        ],
        "notCountedYet": found.not_counted,
    }


def _write_csv(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(rows)


def _write_table(found: Report) -> None:
    rates = found.rates
    headers = [found.heading.upper(), "SESSIONS", "RUNNING H", "PAUSED H", "ASLEEP", "PAUSES"]
    *rows, total = (
        [name, *usage_cells(sums), *money_cells(found, sums)] for name, sums in (*found.groups, ("Total", found.total))
    )
    if rates is not None:
        headers += ["COST", "SAVED"]
        total[-1] += f" {rates.currency}" if rates.currency else ""
    click.echo(table(headers, [*rows, total]))
    for line in notes(found):
        click.echo(paragraph(line))


def write_sleepers(found: Sequence[Sleeper], output: str, now: datetime, asleep_for: str) -> None:
    """Write what sleeps as a table, CSV, JSON or YAML; `asleep_for` is the word of the command line."""
    if output == "table":
        rows = [
            (s.namespace, s.name, s.session_id, timestamp(s.since), f"{(now - s.since).days}d", s.why) for s in found
        ]
        if rows:
            click.echo(table(["NAMESPACE", "NAME", "SESSION", "SINCE", "ASLEEP", "WHY"], rows))
        said = (
            f"Asleep for {asleep_for} or longer: {len(found):,}. Each counts against the account's limit on sessions. "
            "To end one, delete its AgbSession; an adopted one needs deletionPolicy: Delete first."
        )
        click.echo(paragraph(said))
        return
    items = [
        {
            "namespace": s.namespace,
            "name": s.name,
            "session": s.session_id,
            "since": timestamp(s.since),
            "seconds": int((now - s.since).total_seconds()),
            "why": s.why,
        }
        for s in found
    ]
    if output == "csv":
        _write_csv(["namespace", "name", "session", "since", "seconds", "why"], [list(i.values()) for i in items])
    else:
        write_objects(items, output)
