# Everything a person does with this checkout. Needs Python 3.11 and make; the rest comes pinned and hashed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run serve worker test lint format bench package lock clean

PYTHON311 ?= python3.11
PORT ?= 8000
CHROMIUM ?= /usr/bin/chromium
PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --no-input -q

help:
	@echo "make run     start the whole site on this machine, at http://127.0.0.1:8000/ (PORT=...)"
	@echo "make test    lint, types, import contracts, all tests; what CI runs"
	@echo "make serve   the web server alone, in production mode (SECRET_KEY, DATABASE_URL, REDIS_URL)"
	@echo "make worker  one background worker beside it"
	@echo "make bench   measure, and print the figures as a table"
	@echo "make package the wheel and the source to install elsewhere, in dist/"
	@echo "make lint, make format, make lock (pin the requirements anew), make clean"

# -- The environment: made once, again only when the pins change -------------------------------------------

.venv/bin/python:
	@command -v $(PYTHON311) >/dev/null || { echo "Python 3.11 is needed, and $(PYTHON311) is not on the PATH." >&2; exit 1; }
	$(PYTHON311) -m venv .venv

# The pins are complete, so nothing is left to resolve (--no-deps), and nothing unhashed can slip in.
.venv/base.stamp: requirements/base.txt | .venv/bin/python
	@echo "Installing the pinned requirements into .venv/ (once)"
	@$(PIP) install --no-deps --require-hashes -r requirements/base.txt
	@touch $@

.venv/dev.stamp: requirements/dev.txt | .venv/bin/python
	@echo "Installing the pinned development requirements into .venv/ (once)"
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	@touch $@ .venv/base.stamp

# Debian's Chromium for the browser tests. Without it they could only be skipped, and a skipped test proves nothing.
$(CHROMIUM):
	@if [ "$$(id -u)" = 0 ]; then as_root=; \
	elif sudo -n true 2>/dev/null; then as_root="sudo -n"; \
	else echo "The browser tests need Chromium: run 'sudo apt-get install chromium', or set CHROMIUM to its path." >&2; exit 1; fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	$$as_root apt-get update -qq && $$as_root apt-get install -y -qq chromium >/dev/null

# -- Running -----------------------------------------------------------------------------------------------

run: .venv/base.stamp
	@$(PYTHON) manage.py quickstart --port $(PORT)

serve: .venv/base.stamp
	@$(PYTHON) manage.py collectstatic --noinput --verbosity 0
	@$(PYTHON) manage.py serve --port $(PORT)

worker: .venv/base.stamp
	@$(PYTHON) manage.py run_worker

# -- Checking ----------------------------------------------------------------------------------------------

test: export CHROMIUM := $(CHROMIUM)
test: lint $(CHROMIUM)
	AGENTS_TEST_DATABASE=postgres AGENTS_TEST_LAYER=redis $(PYTHON) -m pytest -q tests/conformance tests/races
	$(PYTHON) -m pytest -q -n 2 --dist loadfile

lint: .venv/dev.stamp
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-logo
	$(PYTHON) manage.py makemigrations --check --dry-run

format: .venv/dev.stamp
	$(PYTHON) -m ruff check --fix-only
	$(PYTHON) -m ruff format

bench: .venv/dev.stamp
	$(PYTHON) -m tests.benchmarks

# The wheel and the source, the same to the byte for the same commit. Nothing is fetched: the builder is pinned, too.
package: export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 1577836800)
package: .venv/dev.stamp
	@rm -rf dist
	@$(PYTHON) -m hatchling build -d dist
	@cd dist && wc -c *.whl *.tar.gz | head -n 2

# -- Upkeep ------------------------------------------------------------------------------------------------

# No registry's address may end up in the files: they are made for any mirror.
lock: .venv/dev.stamp
	@cd requirements && for set in base dev; do \
		../.venv/bin/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header \
			--python-version 3.11 $$set.in -o $$set.txt; \
	done

clean:
	rm -rf dist .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
