# Every target sets up what it needs; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
# tests wait for processes and browsers much of the time: more of them than cores
export WORKERS ?= 3

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/bin/python:
	@if command -v uv >/dev/null 2>&1; then uv venv --quiet --python $(PYTHON) .venv; else $(PYTHON) -m venv .venv; fi

$(STAMP): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Setting up (once, a minute or two) ..."
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python -c constraints.txt -e .; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .; fi
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Setting up for development (once, two or three minutes) ..."
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; fi
	@touch $(STAMP) $@

demo: $(STAMP) ## Try it: everything local, no token, no key; prints one address
	@$(BIN)/pilot demo

serve: $(STAMP) ## Run it for real, with the settings in .env
	@$(BIN)/pilot serve

test: $(DEV_STAMP) browser ## All tests, on SQLite and Postgres, with a real browser
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup

browser: $(DEV_STAMP) # a Chromium: the system's, or Playwright's own
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || $(BIN)/python -m playwright install chromium

format: $(DEV_STAMP) ## Write Python, templates, scripts and styles in the house's form
	@$(BIN)/ruff format --quiet .
	@$(BIN)/djlint --reformat --quiet webapp/templates || true # 1 says that it changed something
	@$(BIN)/oxfmt webapp/static simulator/static

check: $(DEV_STAMP) browser ## The full gate: format, lint, types, rooms, tests with coverage, migrations, API fuzz, secrets
	@bash tools/check.sh

migration: $(DEV_STAMP) ## Write the next migration from a change of the tables: make migration name=task_labels
	@$(BIN)/python -m tools.migration "$(name)"

hooks: $(DEV_STAMP) ## Check the fast stages of the gate before each commit
	@$(BIN)/pre-commit install

bench: $(DEV_STAMP) ## Measure it against bare baselines in the same run
	@$(BIN)/python -m bench

chaos: $(DEV_STAMP) ## 500 times kill -9 over both stores while it works; prints the figures (half an hour)
	@$(BIN)/python -m bench.chaos

clean: ## Remove the environment and caches (never ./data)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build ./*.egg-info

.PHONY: help demo serve test browser format check migration hooks bench chaos clean
