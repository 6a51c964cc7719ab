"""`kubectl agb report`: what pausing saved, and what has slept for long."""

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click
from click.core import ParameterSource

from agb_operator.model.status import timestamp

from ..cluster import Cluster, in_cluster
from ..errors import WrongUsage
from ..options import all_namespaces_option, cluster_options, output_option, selector_option
from ..output import table, write_object, write_objects
from ..savings import (
    MONEY,
    SORTS,
    Report,
    Sleeper,
    Sums,
    amount,
    notes,
    report,
    share,
    sleepers,
)
from ..savings_options import known_month, read_grouping, read_month, read_rates
from ..times import read_duration

_OF_THE_SUMS: Final = ("by", "month", "sort", "rate_running", "rate_paused", "currency")


@click.command(name="report")
@cluster_options
@all_namespaces_option
@selector_option
@click.option(
    "--by", metavar="GROUP", default="namespace", help="namespace, label:KEY, image or schedule. [default: namespace]"
)
@click.option("--month", metavar="MONTH", default="", help="A month of UTC, such as 2026-11. [default: this one]")
@click.option("--sort", type=click.Choice(SORTS), default="paused", help="By which column. [default: paused]")
@click.option("--rate-running", metavar="RATE", envvar="AGB_RATE_RUNNING", default="", help="Cost of an hour awake.")
@click.option("--rate-paused", metavar="RATE", envvar="AGB_RATE_PAUSED", default="", help="Cost of an hour asleep.")
@click.option("--currency", metavar="TEXT", default="", help="The unit of the rates, such as EUR.")
@click.option("--asleep-for", metavar="TIME", default="", help="List instead what has slept so long, such as 30d.")
@output_option("csv", "html")
@click.pass_context
def command(
    ctx: click.Context,
    namespace: str,
    context: str,
    all_namespaces: bool,
    selector: str,
    by: str,
    month: str,
    sort: str,
    rate_running: str,
    rate_paused: str,
    currency: str,
    asleep_for: str,
    output: str,
) -> None:
    """Say how long sessions ran and slept in a month, and what that saved.

    \b
    kubectl agb report -A --by label:team --rate-running 0.12 --rate-paused 0.02 --currency EUR
    kubectl agb report -A -o html > report.html
    kubectl agb report -A --asleep-for 30d

    The rates are what one hour costs you; they may stand in AGB_RATE_RUNNING and AGB_RATE_PAUSED. The HTML is one file
    that needs no network. Deleted AgbSessions are not in the report.
    """
    longer_than = read_duration(asleep_for, "--asleep-for") if asleep_for else None
    grouping = read_grouping(by, all_namespaces=all_namespaces)
    month = read_month(month)
    rates = read_rates(rate_running, rate_paused, currency)
    if longer_than is not None:
        _refuse_options_of_sums(ctx, output)
    elif sort in MONEY and rates is None:
        raise WrongUsage(f"--sort {sort} needs --rate-running and --rate-paused")

    async def work(cluster: Cluster) -> None:
        bodies = await cluster.sessions(None if all_namespaces else cluster.namespace, selector)
        now = cluster.now()
        if longer_than is not None:
            _write_sleepers(sleepers(bodies, longer_than=longer_than, now=now), output, now, asleep_for)
        else:
            which = known_month(month, now)
            _write(report(bodies, grouping=grouping, month=which, now=now, sort=sort, rates=rates), output)

    in_cluster(namespace, context, work)


def _refuse_options_of_sums(ctx: click.Context, output: str) -> None:
    for name in _OF_THE_SUMS:
        if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise WrongUsage(f"--{name.replace('_', '-')} and --asleep-for cannot go together: one sums, one lists")
    if output == "html":
        raise WrongUsage("--asleep-for is a list: say -o table, csv, json or yaml")


def _write(found: Report, output: str) -> None:
    if output == "html":
        from ..savings_html import page

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
    rows = [_row(found, name, sums) for name, sums in found.groups]
    total = _row(found, "Total", found.total)
    if rates is not None:
        headers += ["COST", "SAVED"]
        total[-1] += f" {rates.currency}" if rates.currency else ""
    click.echo(table(headers, [*rows, total]))
    for line in notes(found):
        click.echo(line)


def _row(found: Report, name: str, sums: Sums) -> list[str]:
    row = [
        name,
        f"{sums.sessions:,}",
        amount(sums.running_hours),
        amount(sums.paused_hours),
        share(sums),
        f"{sums.pauses:,}",
    ]
    if found.rates is not None:
        row += [amount(found.rates.cost(sums)), amount(found.rates.saved(sums))]
    return row


def _write_sleepers(found: Sequence[Sleeper], output: str, now: datetime, asleep_for: str) -> None:
    if output == "table":
        rows = [
            (s.namespace, s.name, s.session_id, timestamp(s.since), f"{(now - s.since).days}d", s.why) for s in found
        ]
        if rows:
            click.echo(table(["NAMESPACE", "NAME", "SESSION", "SINCE", "ASLEEP", "WHY"], rows))
        click.echo(
            f"Asleep for {asleep_for} or longer: {len(found):,}. Each counts against the account's limit on sessions; "
            "to end one, delete its AgbSession."
        )
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
