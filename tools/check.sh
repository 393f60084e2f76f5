#!/usr/bin/env bash
# The full gate. Each stage says what it is; the first failure ends it. `fast` leaves out the tests.
set -euo pipefail
bin=.venv/bin
stage() { printf '\n== %s\n' "$1"; }

stage "format"
$bin/ruff format --check --quiet .
stage "lint"
$bin/ruff check --quiet .
stage "templates, scripts and styles"
$bin/djlint --check --lint --quiet webapp/templates
$bin/oxfmt --check webapp/static simulator/static
$bin/oxlint --deny-warnings webapp/static simulator/static
stage "types"
$bin/mypy
stage "rooms"
$bin/lint-imports --no-cache
stage "dependencies"
$bin/deptry --no-ansi .
stage "secrets"
mapfile -d '' files < <(git ls-files -z -- . ":!tests/vectors" ":!tests/fixtures" ":!docs/pictures" ":!constraints.txt" ":!.secrets.baseline")
known=$(mktemp)
trap 'rm -f "$known"' EXIT
cp .secrets.baseline "$known"
# 3 says only that a known line has moved
$bin/detect-secrets-hook --baseline "$known" "${files[@]}" || [ $? = 3 ]
[ "${1:-}" != "fast" ] || exit 0
stage "tests, on SQLite and Postgres, with branch coverage (migrations check and API fuzz are among them)"
$bin/python -m pytest -q -n "${WORKERS:-auto}" --dist loadgroup --cov --cov-branch --cov-report=term:skip-covered --cov-fail-under="${COVERAGE:-70}"
