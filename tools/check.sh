#!/usr/bin/env bash
# The full gate. Each stage says what it is; the first failure ends it.
set -euo pipefail
bin=.venv/bin
stage() { printf '\n== %s\n' "$1"; }

stage "format"
$bin/ruff format --check --quiet .
stage "lint"
$bin/ruff check --quiet .
stage "types"
$bin/mypy
stage "rooms"
$bin/lint-imports --no-cache
stage "secrets"
git ls-files -z -- . ":!tests/vectors" ":!docs/pictures" ":!constraints.txt" ":!.secrets.baseline" | xargs -0 $bin/detect-secrets-hook --baseline .secrets.baseline
stage "tests, on SQLite and Postgres, with branch coverage (migrations check and API fuzz are among them)"
$bin/python -m pytest -q -n "${WORKERS:-2}" --dist loadgroup --cov --cov-branch --cov-report=term:skip-covered --cov-fail-under="${COVERAGE:-70}"
