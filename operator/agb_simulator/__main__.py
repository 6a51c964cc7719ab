"""The command `agb-simulator`: reads its flags, serves until SIGTERM or SIGINT, ends with 0.

Its first line on stdout is JSON: `{"address": "http://127.0.0.1:8090", "port": 8090, "pid": 4711}`,
written once the port is open, so that `--port 0` can be used by scripts.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from contextlib import ExitStack

import click

from agb_simulator.api import Api
from agb_simulator.requestlog import Entry, entry_json
from agb_simulator.server import Server
from agb_simulator.settings import Settings

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Read `20ms`, `1.5s` or `1h30m` as seconds; a bare 0 needs no unit. Fails with what is right."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value, re.ASCII)
    if value == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise click.BadParameter(f"{value!r} is not a duration: write it like 20ms, 1.5s or 1h30m", ctx, param)
    return sum(float(number) * UNITS[unit] for number, unit in parts)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; empty for all, IPv4 and IPv6."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--transition",
    callback=duration,
    metavar="TIME",
    default="1s",
    show_default=True,
    help="How long a pause or resume takes.",
)
@click.option(
    "--api-key", "api_keys", multiple=True, metavar="KEY", help="Accept this key (repeatable). None: any key."
)
@click.option(
    "--latency", callback=duration, metavar="TIME", default="0", show_default=True, help="Added to every answer."
)
@click.option("--rate-limit", type=click.FloatRange(0, min_open=True), metavar="N", help="Requests a second per key.")
@click.option(
    "--retry-after/--no-retry-after", default=True, show_default=True, help="Whether a 429 says when to retry."
)
@click.option(
    "--session-limit", type=click.IntRange(0), metavar="N", help="Sessions per account, paused ones included."
)
@click.option(
    "--max-page-size", type=click.IntRange(1), default=100, show_default=True, help="Largest ListSession page."
)
@click.option(
    "--request-log",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE",
    help="Append every request to this file, one JSON object a line.",
)
@click.option("--seed", type=int, help="Make session ids and the probabilities of faults repeatable.")
def main(
    host: str,
    port: int,
    transition: float,
    api_keys: tuple[str, ...],
    latency: float,
    rate_limit: float | None,
    retry_after: bool,
    session_limit: int | None,
    max_page_size: int,
    request_log: str | None,
    seed: int | None,
) -> None:
    """Simulate the AGB session lifecycle API, with hooks for tests below /_sim/.

    Point a client at it with AGB_ENDPOINT=http://127.0.0.1:8090. Do not expose it: the hooks need no key.
    """
    settings = Settings(
        transition=transition,
        latency=latency,
        rate_limit=rate_limit,
        send_retry_after=retry_after,
        session_limit=session_limit,
        max_page_size=max_page_size,
    )
    with ExitStack() as stack:
        sink = None
        if request_log is not None:
            try:
                file = stack.enter_context(open(request_log, "ab", buffering=0))
            except OSError as error:
                raise click.ClickException(f"cannot write the request log: {error}") from error

            def sink(entry: Entry) -> None:
                file.write(entry_json(entry) + b"\n")

        api = Api(settings=settings, keys=api_keys, seed=seed, sink=sink)
        try:
            asyncio.run(_serve(Server(api, host=host, port=port)))
        except OSError as error:
            raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


async def _serve(server: Server) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with server:
        click.echo(json.dumps({"address": server.address, "port": server.port, "pid": os.getpid()}))
        await stop.wait()


if __name__ == "__main__":
    main()
