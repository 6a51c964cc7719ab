# Every target sets up what it needs; `make help` lists them.
.DEFAULT_GOAL := help
# The first one that fits and runs: a version manager's shim may stand for a version that is not there.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.tools
TESTS ?= tests
TEST_PROCESSES ?= 2
GENERATORS := hack/crd_reference.py hack/generate_chart.py hack/generate_deploy.py hack/generate_gitops.py hack/reference_pages.py \
	hack/plugin_page.py
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(STAMP) ## the virtual environment with the locked packages

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "==> installing the locked packages into $(VENV) (about 20 s)"
	@test -n "$(PYTHON)" || { echo "agb-operator needs Python 3.11 or newer, and none is on the PATH: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] > (3, 13))' || echo "==> $(PYTHON) is newer than the tested versions, 3.11 to 3.13: it may work" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

.PHONY: tools
tools: $(TOOLS) ## the virtual environment with the tools for workflows, releases and the site as well

$(TOOLS): $(STAMP) requirements/tools.txt
	@echo "==> installing the tools for workflows, releases and the site into $(VENV) (about 15 s)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	@touch $(TOOLS)

.PHONY: programs
programs: venv ## etcd, kube-apiserver, kubectl and helm: found, downloaded or built, then cached
	@PYTHONPATH=hack $(BIN)/python -m control_plane --ensure >/dev/null

.PHONY: demo
demo: venv ## watch a session being created, paused, resumed and deleted on a real API server
	@PYTHONPATH=hack $(BIN)/python -m demo

.PHONY: demo-up
demo-up: venv ## the same set-up, left running for you to play with
	@PYTHONPATH=hack $(BIN)/python -m demo --stay

.PHONY: control-plane
control-plane: programs ## a local control plane until Ctrl-C
	@PYTHONPATH=hack $(BIN)/python -m control_plane

.PHONY: simulator
simulator: venv ## the AGB API simulator until Ctrl-C, on 127.0.0.1:8090
	@$(BIN)/agb-simulator

.PHONY: test
test: programs tools ## all tests, the end-to-end ones on a real API server included
	$(BIN)/pytest $(TESTS) -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: quick
quick: venv ## unit tests and lint, while you work: a minute or less on two cores
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	HYPOTHESIS_PROFILE=quick $(BIN)/pytest tests/unit -q -m 'not fleet' -n $(TEST_PROCESSES)

.PHONY: lint
lint: tools ## ruff, the import contracts, and the workflows by their schema and by zizmor
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yaml
	$(BIN)/zizmor --offline --quiet --persona=pedantic .github

.PHONY: actionlint
actionlint: tools ## the scripts and expressions of the workflows; needs Go, and shellcheck if it is there
	cd hack/actionlint && go build -o ../../$(VENV)/actionlint github.com/rhysd/actionlint/cmd/actionlint
	$(VENV)/actionlint

.PHONY: typecheck
typecheck: venv ## mypy --strict
	$(BIN)/mypy

.PHONY: format
format: venv ## let ruff format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: generate
generate: venv ## write the generated files: chart, manifests, reference
	@for script in $(GENERATORS); do PYTHONPATH=hack $(BIN)/python $$script || exit 1; done

.PHONY: verify
verify: venv ## see that the generated files are what `make generate` writes
	@for script in $(GENERATORS); do PYTHONPATH=hack $(BIN)/python $$script --check || exit 1; done
	@echo "generated files are up to date"

.PHONY: lock
lock: venv ## lock the packages again, with hashes
	$(LOCK) --output-file requirements/runtime.txt pyproject.toml
	$(LOCK) --output-file requirements/dev.txt --group pyproject.toml:dev pyproject.toml
	$(LOCK) --output-file requirements/tools.txt --group pyproject.toml:tools --constraint requirements/dev.txt

include $(wildcard hack/make/*.mk)
