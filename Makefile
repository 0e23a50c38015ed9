# Every verb does its own set-up. PYTHON=python3.13 VENV=.venv-3.13 uses another interpreter beside.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV

VENV ?= .venv
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' > /dev/null 2>&1 && echo $$python && break; done)
BIN := $(VENV)/bin
# What development needs contains what the platform needs: where the former is installed, it serves both.
INSTALLED := $(VENV)/.$(if $(wildcard $(VENV)/.development),development,platform)

.PHONY: help demo up down test check bench faults soak clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(INSTALLED) ## the whole platform against simulated exchanges, on this machine (ARGS="--seconds 40")
	@$(BIN)/trade-platform up --simulated --faults config/demo-faults.toml $(ARGS)

up: $(INSTALLED) ## the same against the real exchanges' public data (ARGS="--exchange deribit")
	@$(BIN)/trade-platform up --live $(ARGS)

down: ## stop what a killed run left behind
	@if [ -x $(BIN)/trade-platform ]; then $(BIN)/trade-platform down $(ARGS); else echo "Nothing was ever started here."; fi

test: $(VENV)/.development ## every test, with real servers (ARGS="tests/domain -k candle")
	@$(BIN)/pytest $(ARGS)

check: $(VENV)/.development ## style, types, import rules, lock files, migrations
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@UV=$(BIN)/uv requirements/compile --check && echo "Lock files are current."
	@$(BIN)/python -m trade_platform.adapters.embedded $(BIN)/python -m trade_platform.adapters.database.migrate --check

bench: $(INSTALLED) ## speed, latency and memory as a table (QUICK=1: ratios alone, in a minute)
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(ARGS)

faults: $(INSTALLED) ## each fault, with and without its defence; what was lost (ARGS="--only redis_kill")
	@$(BIN)/python -m benchmarks.faults $(ARGS)

soak: $(INSTALLED) ## memory of every process under a fixed load; judged from 30 minutes on (MINUTES=40)
	@$(BIN)/python -m benchmarks.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

clean: ## remove the environment and all caches; DATA=1 removes the recorded data (.data), too
	@rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@$(if $(DATA),rm -rf .data,[ ! -e .data ] || echo "Kept .data, the recorded data; make clean DATA=1 removes it, too.")

$(VENV)/.%: requirements/%.txt pyproject.toml $(BIN)/uv
	@echo "Installing requirements/$*.txt into $(VENV) …"
	@export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$($(call pip_setting,index-url))}"; \
	[ -n "$$UV_DEFAULT_INDEX" ] || unset UV_DEFAULT_INDEX; \
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $< && \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@rm -f $(VENV)/.platform $(VENV)/.development
	@touch $@

$(BIN)/uv: requirements/uv.txt
	@if ! $(BIN)/python -m pip --version > /dev/null 2>&1; then \
	[ -n "$(PYTHON)" ] || { echo "Python 3.11 or later is needed: install python3.11, or name one with PYTHON=." >&2; exit 1; }; \
	echo "Making $(VENV) with $(PYTHON) …"; \
	$(PYTHON) -m venv --clear $(VENV) || \
	{ echo "$(PYTHON) cannot make a virtual environment: on Debian, apt-get install python3-venv." >&2; exit 1; }; fi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

# uv does not read pip's configuration: a machine whose registry is named there alone is served, too.
pip_setting = $(BIN)/python -m pip config get global.$(1) 2> /dev/null || \
	$(BIN)/python -m pip config get :env:.$(1) 2> /dev/null || true
