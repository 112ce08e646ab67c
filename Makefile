# Milestream. `make` alone shows what there is. Needs Python 3.11 or newer and make, nothing else.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-fast check bench faults simulate format

# The first of these that is new enough; `make PYTHON=/path/to/python setup` names another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
RUNS := .venv/.runs
UV := uv==0.13.9
# How many processes share a run of the tests. Those with servers wait for a quarter of their time,
# which the last one of five or more fills with what only computes (tests/groups.py).
JOBS ?= 5
# What is started imports much: it is compiled once, not at every start, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the environment (.venv, with .venv/bin/milestream)

# The demo does without what the tests need: that is most of what would be fetched.
demo: $(if $(wildcard $(STAMP)),$(STAMP),$(RUNS)) ## Start everything with demo data flowing; Ctrl-C ends it
	@$(BIN)/milestream up

test: setup ## Run every test, against a real broker and a real database
	@$(BIN)/python -m pytest -n $(JOBS) --durations=25

test-fast: setup ## Run what is pure, and small tests of each part on the real servers
	@$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

check: setup ## Lint, format, types, layering
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/unit/test_layering.py

simulate: SCHEDULES ?= 1000
simulate: setup ## Run SCHEDULES=1000 schedules of the simulation without a broker
	@MILESTREAM_TEST_SCHEDULES=$(SCHEDULES) $(BIN)/python -m pytest -q tests/simulation

bench: setup ## Run the benchmarks
	@$(BIN)/python -m tests.bench

faults: setup ## Run schedules of faults over a live stack (SCHEDULES=20, or one: SEED=17)
	@$(BIN)/python -m tests.faults.run $(if $(SEED),--seed $(SEED)) $(if $(FIRST),--first $(FIRST)) \
	--schedules $(or $(SCHEDULES),20)

format: setup ## Put the code into the format that `make check` wants
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

INPUTS := pyproject.toml requirements.lock $(wildcard processor/domain/fast_path/*.p[xy]*) \
$(wildcard processor/transactions/*.pyx)

$(STAMP): WANTED := .[dev]
$(RUNS): WANTED := .

# uv installs in seconds; where it cannot (it does not read pip's settings), pip does the same.
$(STAMP) $(RUNS): $(INPUTS)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
	"Milestream needs Python 3.11 or newer: name one with make PYTHON=/path/to/python setup." >&2; \
	exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module: \
	install it first (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@echo "Installing packages into .venv ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check "$(UV)" 2>/dev/null \
	&& $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c requirements.lock \
	-e '$(WANTED)' 2>/dev/null \
	|| $(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '$(WANTED)'
	@touch $@
