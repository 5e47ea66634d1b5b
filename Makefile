# Needs make and a Python from 3.11 on. The virtual environment is made when it is first needed.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
POUCHDB := pouchdb@9.0.0
FAUXTON := fauxton@1.2.6
WORKERS ?= auto
TESTS ?= tests

.PHONY: help demo test check lint types layers docs bench pouchdb fauxton clean

help:
	@echo "make demo    load real cities into a database and play with them (COUCHDB_URL=… for your server)"
	@echo "make test    the tests, on the embedded server and on /opt/couchdb where there is one"
	@echo "make check   all that CI asks for: style, types, layers, docs, packages, tests"
	@echo "make bench   the benchmarks"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make clean   remove what was built"

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev pouchdb fauxton
	$(BIN)/python -m pytest -n $(WORKERS) -m "not packaging" $(TESTS)

# The tests come last, so that their summary is the last thing on the screen.
check: lint types layers docs pouchdb fauxton
	$(BIN)/python -m pytest -n $(WORKERS) $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/basedpyright

layers: $(VENV)/.dev
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# The tests replicate with PouchDB where it can be had: without npm, or when npm cannot reach its
# registry, they are skipped with that reason.
pouchdb: | $(BIN)/python
	@test -d $(VENV)/pouchdb/node_modules/pouchdb || ! command -v npm > /dev/null || \
		npm install --silent --no-audit --no-fund --fetch-retries=1 --prefix $(VENV)/pouchdb $(POUCHDB) || \
		echo "$(POUCHDB) could not be installed; its tests will be skipped."

# The page at /_utils/, for the test in a browser. Packed, it comes without all that it depends on.
fauxton: | $(BIN)/python
	@test -d $(VENV)/fauxton/package || ! command -v npm > /dev/null || \
		{ mkdir -p $(VENV)/fauxton && cd $(VENV)/fauxton && \
		npm pack --silent --ignore-scripts --fetch-retries=1 $(FAUXTON) > /dev/null && tar -xzf fauxton-*.tgz; } || \
		echo "$(FAUXTON) could not be fetched; its tests will be skipped."

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 on was found. Name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) does not run, or is older than Python 3.11."; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip

# An order-only Python: it is the stamp that says what is installed.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "Installing aiocouch and what the demo needs …"
	@$(BIN)/python -m pip install --quiet --editable ".[demo]"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing aiocouch and the tools of its developers …"
	@$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@ $(VENV)/.demo
