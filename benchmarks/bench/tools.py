"""Programs that only the benchmark needs: the baseline in Go, built on first use into the cache folder."""

import hashlib
import os
from pathlib import Path

from control_plane.build import GoBuild
from control_plane.cache import Cache, cache_folder
from control_plane.tasks import run_task
from control_plane.versions import Platform


def go_program(folder: Path) -> Path:
    """Build the Go module in `folder`, unless that has been done with these very sources; returns the binary.

    Raises:
        NotAvailable: no Go, no modules, or the build failed; the text says which.
    """
    cache = Cache(cache_folder(os.environ))
    go = GoBuild(cache=cache, platform=Platform.here(), environment=os.environ).toolchain()
    sources = sorted(path for path in folder.iterdir() if path.suffix in (".go", ".mod", ".sum"))
    made_of = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]

    def build(scratch: Path) -> Path:
        result = scratch / folder.name
        run_task(
            f"building benchmarks/baselines/{folder.name}",
            [go.command, "build", "-ldflags=-s -w", f"-o={result}", "."],
            expect="a minute or two",
            log=scratch / "build.log",
            folder=folder,
            environment=go.environment,
        )
        return result

    return cache.provide(cache.folder / f"bench-{folder.name}-{made_of}", build)
