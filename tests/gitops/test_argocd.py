"""The Lua scripts for Argo CD, run as its own test suite runs those in its `resource_customizations`."""

import re
from pathlib import Path
from typing import Any

import lupa.luajit21
import pytest
import yaml

import generate_gitops
from generate_gitops import ACTIONS, ARGOCD, CUSTOMIZATIONS, KINDS, SCRIPTS

VARIANT = ARGOCD / "variants" / "suspended" / "health.lua"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def run(script: Path, manifest: Path) -> Any:
    """Run a script with `obj` as its one global beside the libraries that Argo CD opens; return what it returns."""
    lua = lupa.luajit21.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    for library in ("io", "debug", "package", "require", "jit", "ffi", "dofile", "loadfile"):
        lua.globals()[library] = None
    lua.globals()["obj"] = lua.table_from(load(manifest), recursive=True)
    return _python(lua.execute(script.read_text()))


def _python(value: Any) -> Any:
    if lupa.luajit21.lua_type(value) != "table":
        return value
    pairs = dict(value.items())
    if pairs and all(isinstance(key, int) for key in pairs):
        return [_python(pairs[key]) for key in sorted(pairs)]
    return {key: _python(item) for key, item in pairs.items()}


HEALTH = load(SCRIPTS / "health_test.yaml")["tests"]
HEALTH_OF_EACH_KIND = [
    (kind, case) for kind in KINDS for case in load(CUSTOMIZATIONS / kind / "health_test.yaml")["tests"]
]
DISCOVERY = load(SCRIPTS / "actions" / "action_test.yaml")["discoveryTests"]
ACTION = load(SCRIPTS / "actions" / "action_test.yaml")["actionTests"]


@pytest.mark.parametrize(
    ("kind", "case"),
    HEALTH_OF_EACH_KIND,
    ids=[f"{kind}-{Path(case['inputPath']).stem}" for kind, case in HEALTH_OF_EACH_KIND],
)
def test_health(kind: str, case: Any) -> None:
    folder = CUSTOMIZATIONS / kind
    assert run(folder / "health.lua", folder / case["inputPath"]) == case["healthStatus"]


@pytest.mark.parametrize("case", HEALTH, ids=lambda case: Path(case["inputPath"]).stem)
def test_the_variant_differs_for_paused_sessions_only(case: Any) -> None:
    paused = Path(case["inputPath"]).stem == "paused"
    expected = {**case["healthStatus"], **({"status": "Suspended"} if paused else {})}
    assert run(VARIANT, SCRIPTS / case["inputPath"]) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_test_file_is_used(kind: str) -> None:
    used = {case["inputPath"] for of, case in HEALTH_OF_EACH_KIND if of == kind}
    assert used == {f"testdata/{path.name}" for path in (CUSTOMIZATIONS / kind).glob("testdata/*")}


@pytest.mark.parametrize("case", DISCOVERY, ids=lambda case: Path(case["inputPath"]).stem)
def test_actions_on_offer(case: Any) -> None:
    offered = run(SCRIPTS / "actions" / "discovery.lua", SCRIPTS / "actions" / case["inputPath"])
    assert offered == {entry.pop("name"): entry for entry in [dict(result) for result in case["result"]]}
    assert set(offered) == set(ACTIONS)


@pytest.mark.parametrize("case", ACTION, ids=lambda case: case["action"])
def test_action(case: Any) -> None:
    folder = SCRIPTS / "actions"
    result = run(folder / case["action"] / "action.lua", folder / case["inputPath"])
    expected = load(folder / case["expectedOutputPath"])
    requested = "agb.cloud/reconcile-requested-at"
    if case["action"] == "reconcile":
        assert TIME.fullmatch(result["metadata"]["annotations"].pop(requested))
        expected["metadata"]["annotations"].pop(requested)
    assert result == expected


def test_every_action_is_tested() -> None:
    assert {case["action"] for case in ACTION} == set(ACTIONS)
    assert {path.parent.name for path in SCRIPTS.glob("actions/*/action.lua")} == set(ACTIONS)


def test_the_config_map_is_up_to_date_and_holds_the_scripts() -> None:
    text = generate_gitops.CONFIG_MAP.read_text()
    assert text == generate_gitops.config_map(), "run `make generate`"
    data = yaml.safe_load(text)["data"]
    for kind in KINDS:
        script = (CUSTOMIZATIONS / kind / "health.lua").read_text()
        assert data[f"resource.customizations.health.agb.cloud_{kind}"] == script
    actions = yaml.safe_load(data["resource.customizations.actions.agb.cloud_AgbSession"])
    assert [entry["name"] for entry in actions["definitions"]] == list(ACTIONS)
