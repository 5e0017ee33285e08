# Everything a person does with this checkout. Needs Python (3.11, 3.12 or 3.13) and make; the rest comes pinned
# and hashed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run serve worker test test-all lint format bench package lock clean

VERSIONS := 3.13 3.12 3.11
PORT ?= 8000
CHROMIUM ?= /usr/bin/chromium
VENV ?= .venv

# The newest that is found and really runs: a version manager leaves names on the PATH that lead nowhere.
USABLE := import sys, ensurepip, sqlite3, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON := $(shell for version in $(VERSIONS); do \
	"python$$version" -c "$(USABLE)" 2>/dev/null && echo "python$$version" && break; done)
endif
MADE := $(VENV)/made-with-$(shell $(or $(PYTHON),false) -c "$(USABLE)" 2>/dev/null \
	&& $(PYTHON) -c "import sys; print('%d.%d.%d' % sys.version_info[:3])")
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q

help:
	@echo "make run     start the whole site on this machine, at http://127.0.0.1:8000/ (PORT=...)"
	@echo "make test    lint, types, import contracts, all tests; what CI runs"
	@echo "make test-all  the same with every Python of $(VERSIONS) that is found"
	@echo "make serve   the web server alone, in production mode (SECRET_KEY, DATABASE_URL, REDIS_URL)"
	@echo "make worker  one background worker beside it"
	@echo "make bench   measure, and print the figures as tables (ARGS="messages --quick")"
	@echo "make package the wheel and the source to install elsewhere, in dist/"
	@echo "make lint, make format, make lock (pin the requirements anew), make clean"
	@echo "PYTHON=... chooses the Python that all of these use; now $(or $(PYTHON),none)"

# -- The environment: made once, again only when the pins change -------------------------------------------

# The file's name says which Python made it: another one makes the environment anew.
$(MADE):
	@[ -n "$(PYTHON)" ] || { echo "Python is needed: none of $(VERSIONS) runs here. Name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c "$(USABLE)" || { echo "PYTHON=$(PYTHON) cannot be used: it must run, and be one of $(VERSIONS)." >&2; exit 1; }
	@echo "Making $(VENV)/ with $(PYTHON), $$($(PYTHON) --version) (PYTHON=... chooses another)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# The pins are complete, so nothing is left to resolve (--no-deps), and nothing unhashed can slip in.
$(VENV)/base.stamp: requirements/base.txt $(MADE)
	@echo "Installing the pinned requirements into $(VENV)/ (once)"
	@$(PIP) install --no-deps --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(MADE)
	@echo "Installing the pinned development requirements into $(VENV)/ (once)"
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	@touch $@ $(VENV)/base.stamp

# Debian's Chromium for the browser tests. Without it they could only be skipped, and a skipped test proves nothing.
$(CHROMIUM):
	@if [ "$$(id -u)" = 0 ]; then as_root=; \
	elif sudo -n true 2>/dev/null; then as_root="sudo -n"; \
	else echo "The browser tests need Chromium: run 'sudo apt-get install chromium', or set CHROMIUM to its path." >&2; exit 1; fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	$$as_root apt-get update -qq && $$as_root apt-get install -y -qq chromium >/dev/null

# -- Running -----------------------------------------------------------------------------------------------

run: $(VENV)/base.stamp
	@$(BIN)/python manage.py quickstart --port $(PORT)

serve: $(VENV)/base.stamp
	@$(BIN)/python manage.py collectstatic --noinput --verbosity 0
	@$(BIN)/python manage.py serve --port $(PORT)

worker: $(VENV)/base.stamp
	@$(BIN)/python manage.py run_worker

# -- Checking ----------------------------------------------------------------------------------------------

test: export CHROMIUM := $(CHROMIUM)
test: lint $(CHROMIUM)
	AGENTS_TEST_DATABASE=postgres AGENTS_TEST_LAYER=redis $(BIN)/python -m pytest -q -n 2 --dist loadfile tests/conformance tests/races
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

# On the PATH, or where pyenv keeps them. Each has an environment of its own, so that none is made twice.
test-all:
	@failed=; for version in $(VERSIONS); do found=; \
		for python in "python$$version" "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python3; do \
			if "$$python" -c "$(USABLE)" 2>/dev/null; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then echo "Python $$version was not found: not tested."; continue; fi; \
		echo "== Python $$version ($$found)"; \
		$(MAKE) test PYTHON="$$found" VENV=".venv-$$version" || failed="$$failed $$version"; \
	done; \
	[ -z "$$failed" ] || { echo "Failed with Python$$failed." >&2; exit 1; }

lint: $(VENV)/dev.stamp
	@echo "Checking with $(PYTHON), $$($(BIN)/python --version) (PYTHON=... chooses another)"
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python manage.py makemigrations --check --dry-run

format: $(VENV)/dev.stamp
	$(BIN)/python -m ruff check --fix-only
	$(BIN)/python -m ruff format

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.benchmarks $(ARGS)

# The wheel and the source, the same to the byte for the same commit. Nothing is fetched: the builder is pinned, too.
package: export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 1577836800)
package: $(VENV)/dev.stamp
	@rm -rf dist
	@$(BIN)/python -m hatchling build -d dist
	@cd dist && wc -c *.whl *.tar.gz | head -n 2

# -- Upkeep ------------------------------------------------------------------------------------------------

# No registry's address may end up in the files: they are made for any mirror.
lock: $(VENV)/dev.stamp
	@cd requirements && for set in base dev; do \
		../$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header \
			--python-version 3.11 $$set.in -o $$set.txt; \
	done

clean:
	rm -rf dist .venv .venv-3.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
