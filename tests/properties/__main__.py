"""`python -m properties`, in `tests`: live new random lives for as long as you like, and count the harm."""

import random
import time
from collections.abc import Mapping

import click
from hypothesis import seed as repeatable
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from properties.life_machine import CalmLife, RoughLife
from properties.lying_life import LyingLife

LIVES: Mapping[str, type[CalmLife]] = {"calm": CalmLife, "rough": RoughLife, "lying": LyingLife}
AT_A_TIME = settings(max_examples=50, stateful_step_count=30, deadline=None, database=None, print_blob=True)


@click.command()
@click.option("--life", type=click.Choice(sorted(LIVES)), default="lying", show_default=True, help="Which world.")
@click.option(
    "--minutes", default=60.0, show_default=True, help="How long; lives that have begun are lived to the end."
)
@click.option("--seed", type=int, help="Repeat the lives of another run.")
def main(life: str, minutes: float, seed: int | None) -> None:
    """Live random lives until the time is up, or until one ends badly: then the shortest such life is shown."""
    seed = random.randrange(10**6) if seed is None else seed
    until, lives = time.monotonic() + 60 * minutes, 0
    click.echo(f"seed {seed}")
    while time.monotonic() < until:
        run_state_machine_as_test(repeatable(seed + lives)(LIVES[life]), settings=AT_A_TIME)
        lives += AT_A_TIME.max_examples
        click.echo(f"{lives} lives, no harm done")


if __name__ == "__main__":
    main()
