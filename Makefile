# What a person does with a checkout. Every target sets up what it needs: a virtual environment in .venv with the locked
# dependencies, made anew when requirements/lock.txt is newer. Needed are Linux, make and Python 3.11 or later; what
# cuts the power, in `crash` and in some tests, takes gcc, and `mutants` takes git.

ifneq ($(shell uname -s),Linux)
$(error Daruma runs on Linux only)
endif

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(foreach each,python3.11 python3.12 python3.13 python3,$(shell command -v $(each) 2>/dev/null)))
BIN := .venv/bin
STAMP := .venv/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint crash crash-long mutants soak bench bench-peers lock docs prices clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

demo: $(STAMP) ## A story in five parts, on the real daemon: no key, no network, under two minutes
	@PATH="$(CURDIR)/$(BIN):$$PATH" examples/demo

# The longest files hold few tests: kept in their order they begin before the end.
test: $(STAMP) ## The tests
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP) ## Style, form, types and the floors of the house
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

crash: $(STAMP) ## A death at each line that posts, 1,000 power cuts, and what came of them: build/crash/report.md
	@$(BIN)/python -m tests.crash --kills 60 --cuts 1000 $(ARGS)

crash-long: $(STAMP) ## The same with 2,000 deaths and 20,000 power cuts: twenty minutes or more
	@$(BIN)/python -m tests.crash --kills 2000 --cuts 20000 $(ARGS)

mutants: $(STAMP) ## Break each guard once, and see the test that it is named after fail
	@$(BIN)/python -m mutants $(ARGS)

soak: $(STAMP) ## Ten minutes of faults and outages, on the real daemon against simulated providers
	@DARUMA_SOAK=600 $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/e2e/test_soak.py $(ARGS)

bench: $(STAMP) ## What it does per second, on this machine
	@$(BIN)/python -m bench $(ARGS)

bench-peers: $(STAMP) ## The neighbours beside it, in an environment of their own
	@test -x build/peers/bin/python || $(BIN)/python -m venv build/peers
	@build/peers/bin/python -m pip install --quiet -r requirements/peers.txt
	@$(BIN)/python -m bench.peers build/peers/bin/python

docs: $(STAMP) ## Print the settings file and its reference page anew
	@$(BIN)/python -m darumad.settings.handbook yaml > config/daruma.yaml
	@$(BIN)/python -m darumad.settings.handbook markdown > docs/reference/settings.md

prices: $(STAMP) ## Write the prices that ship anew, from the locked genai-prices
	@mkdir -p build
	@$(BIN)/python -c 'from darumad.agents.providers.price_seed import drawn; print(drawn(), end="")' > build/prices.json
	@mv build/prices.json src/darumad/agents/providers/prices.json

lock: $(STAMP) ## Resolve the dependencies anew and write requirements/lock.txt
	@$(BIN)/python -m venv build/lock
	@build/lock/bin/python -m pip install --quiet uv
	@build/lock/bin/uv pip compile pyproject.toml --all-extras --group dev --upgrade --generate-hashes --python-version 3.11 \
	    --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    --output-file requirements/lock.txt --quiet

clean: ## Remove what was made here, the virtual environment too
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(STAMP): requirements/lock.txt pyproject.toml
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or later is needed; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@echo "Setting up .venv ..." >&2
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/lock.txt
	@$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@
