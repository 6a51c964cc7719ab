"""Write the Argo CD settings that hold the Lua scripts of docs/gitops/argocd, for people who do not build Argo CD.

python hack/generate_gitops.py            # write
python hack/generate_gitops.py --check    # exit 1 if something would change
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ARGOCD = ROOT / "docs" / "gitops" / "argocd"
CUSTOMIZATIONS = ARGOCD / "resource_customizations" / "agb.cloud"
SCRIPTS = CUSTOMIZATIONS / "AgbSession"
KINDS = ("AgbSession", "AgbPauseSchedule")
CONFIG_MAP = ARGOCD / "argocd-cm.yaml"
ACTIONS = ("pause", "resume", "reconcile")
_HEADER = """\
# Generated from resource_customizations/ by hack/generate_gitops.py. Merge the data into Argo CD's own ConfigMap:
#
#   kubectl patch configmap argocd-cm -n argocd --patch-file argocd-cm.yaml
"""


class _Block(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: _Block, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Block.add_representer(str, _text)


def config_map() -> str:
    """Return the ConfigMap with the scripts."""
    actions = {
        "discovery.lua": (SCRIPTS / "actions" / "discovery.lua").read_text(),
        "definitions": [
            {"name": name, "action.lua": (SCRIPTS / "actions" / name / "action.lua").read_text()} for name in ACTIONS
        ],
    }
    data = {
        **{
            f"resource.customizations.health.agb.cloud_{kind}": (CUSTOMIZATIONS / kind / "health.lua").read_text()
            for kind in KINDS
        },
        "resource.customizations.actions.agb.cloud_AgbSession": _dump(actions),
    }
    return _HEADER + _dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": data})


def _dump(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_Block, sort_keys=False, width=110))


def main() -> int:
    """Write the file, or with --check say whether it differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is out of date")
    check = parser.parse_args().check
    text = config_map()
    stale = not CONFIG_MAP.exists() or CONFIG_MAP.read_text() != text
    if stale and check:
        print(f"{CONFIG_MAP.relative_to(ROOT)} is out of date: run `make generate`", file=sys.stderr)
    elif stale:
        CONFIG_MAP.write_text(text)
        print(f"wrote {CONFIG_MAP.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
