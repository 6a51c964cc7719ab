"""`python -m chaos`: break everything around two operators for a while, and see that nothing was lost."""

import random
import sys

import click

from chaos.planted import BUGS
from chaos.run import Order, carry_out


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long there is trouble.")
@click.option("--sessions", default=300, show_default=True, help="How many AgbSessions there are.")
@click.option("--pace", default=10.0, show_default=True, help="Actions of the users, a second.")
@click.option("--seed", type=int, help="Repeat the choices of another run.")
@click.option("--bug", type=click.Choice(sorted(BUGS)), default=None, help="Plant a bug: the run must turn red.")
def main(minutes: float, sessions: int, pace: float, seed: int | None, bug: str | None) -> None:
    """Flip sessions at random while operators are killed, networks break and AGB misbehaves; then judge."""
    seed = random.randrange(10**6) if seed is None else seed
    click.echo(f"seed {seed}")
    order = Order(seconds=60 * minutes, sessions=sessions, pace=pace, seed=seed, bug=bug or "")
    outcome = carry_out(order, tell=click.echo)
    click.echo()
    for line in outcome.report:
        click.echo(line)
    click.echo()
    for violation in outcome.violations:
        click.echo(f"VIOLATION {violation}")
    click.echo("red" if outcome.violations else "green: nothing was lost")
    sys.exit(1 if outcome.violations else 0)


if __name__ == "__main__":
    main()
