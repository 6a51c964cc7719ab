"""The workflows run what there is: targets of the Makefile, and the Pythons that the package claims."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yaml")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def steps() -> list[dict[str, Any]]:
    return [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job["steps"]]


def test_every_target_that_a_workflow_runs_exists() -> None:
    scripts = [step["run"] for step in steps() if "run" in step]
    called = {
        word for script in scripts for line in re.findall(r"^make ([a-z -]+)", script, re.M) for word in line.split()
    }
    known = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert {"lint", "typecheck", "verify", "docs", "release-check", "image"} <= called
    assert [target for target in called if not re.search(rf"^ +{target} ", known, re.MULTILINE)] == []


def test_the_pythons_that_are_tested_are_those_of_the_package() -> None:
    tested = set(WORKFLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"])
    claimed = {found[1] for line in PROJECT["classifiers"] if (found := re.search(r":: Python :: (3\.\d+)$", line))}

    assert tested == claimed
    assert PROJECT["requires-python"] == f">={min(tested, key=_minor)}", "a newer one may try"
    warned = f"sys.version_info[:2] > (3, {max(map(_minor, tested))})"
    assert warned in (ROOT / "Makefile").read_text(), "and make says that it is not tested"


def test_every_job_has_an_end_and_no_more_rights_than_it_names() -> None:
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {}, name
        for job_name, job in workflow["jobs"].items():
            assert job["timeout-minutes"] <= 60, job_name
            assert job["permissions"], job_name


def test_what_the_release_publishes_is_what_the_check_builds() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yaml").read_text()

    for variable in ("RELEASE_VERSION", "RELEASE_IMAGE", "RELEASE_SOURCE"):
        assert f"{variable}=" in text
        assert f"$({variable})" in (ROOT / "hack" / "make" / "operate.mk").read_text()


def _minor(python: str) -> int:
    return int(python.partition(".")[2])
