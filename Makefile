# One virtual environment, .venv, in three steps, each with its stamp:
#   .bootstrap  uv and what builds this package (requirements/bootstrap.lock)
#   .run        what the server needs           (requirements/run.lock)
#   .ready      that, and what tests need       (requirements/dev.lock)
# What tests talk to and must not share its libraries with has .venv-peers (requirements/peers.lock).
# Once .ready is there, `make run` uses it and leaves the test tools alone.

PYTHON  ?= python3
BIN     := .venv/bin
UV      := $(BIN)/uv
LOCKS   := requirements
SOURCES := $(wildcard server sync tests benchmarks)
SERVE   := $(if $(wildcard .venv/.ready),.venv/.ready,.venv/.run)
NPM     := $(shell command -v npm)
BUILT   := server/static/index.html

COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
           --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
INSTALL := $(UV) pip install -q --python $(BIN)/python
SYNC    := $(UV) pip sync -q --python $(BIN)/python --require-hashes

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DEFAULT_GOAL := help
.PHONY: help run test lint format demo browser simulate faults bench lock wheel app types

help: ## this table
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(SERVE) app ## the server with demonstration data
	$(BIN)/rientro serve --demo

test: lint ## everything CI runs: lint, then all tests
	$(BIN)/python -m compileall -q $(SOURCES)
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal --ignore=tests/browser

$(if $(shell command -v npm),test: tests/peers/node_modules/.ready)

tests/peers/node_modules/.ready: tests/peers/package-lock.json tests/peers/.npmrc
	cd tests/peers && npm ci --no-audit --no-fund --no-progress --loglevel=error
	@touch $@

test: .venv-peers/.ready

.venv-peers/.ready: .venv/.bootstrap $(LOCKS)/peers.lock  # servers to test against, with libraries of their own
	$(PYTHON) -m venv --clear --without-pip .venv-peers
	$(UV) pip sync -q --python .venv-peers/bin/python --require-hashes $(LOCKS)/peers.lock
	@touch $@

lint: .venv/.ready ## style, types and import walls
	$(BIN)/ruff check -q $(SOURCES)
	$(BIN)/ruff format -q --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-logo --no-cache

format: .venv/.ready ## repair what style can repair by itself
	$(BIN)/ruff check -q --fix-only $(SOURCES)
	$(BIN)/ruff format -q $(SOURCES)

demo: .venv/.ready app ## offline sales come home, told step by step
	$(BIN)/python -m tests.demo

browser: .venv/.ready app tests/peers/node_modules/.ready ## drive the app in Chromium, Firefox and WebKitGTK where they are installed: minutes, and not yet steady
	$(BIN)/python -m pytest tests/browser

simulate: .venv/.ready ## try to break sync; SEEDS=10000 says how often, FROM=0 with which seed to begin
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000) --from $(or $(FROM),0)

faults: .venv/.ready ## kill servers under load at peers that fail; SECONDS_EACH=120 on each database, SEED=1
	$(BIN)/python -m tests.faults --seconds $(or $(SECONDS_EACH),120) --seed $(or $(SEED),1)

bench: .venv/.ready ## measure against the raw database and peers
	$(BIN)/python -m benchmarks

lock: .venv/.bootstrap ## write requirements/*.lock anew; UPGRADE=1 for newer versions
	$(COMPILE) --group bootstrap -o $(LOCKS)/bootstrap.lock
	$(COMPILE) --group peers -o $(LOCKS)/peers.lock
	$(COMPILE) pyproject.toml -c $(LOCKS)/bootstrap.lock -o $(LOCKS)/run.lock
	$(COMPILE) pyproject.toml --group dev -c $(LOCKS)/run.lock -c $(LOCKS)/bootstrap.lock -o $(LOCKS)/dev.lock

wheel: .venv/.ready $(BUILT) ## dist/: source archive and wheel
	$(BIN)/python -m build --no-isolation

.venv/.bootstrap: $(LOCKS)/bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit("rientro needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(LOCKS)/bootstrap.lock
	@touch $@

.venv/.run: .venv/.bootstrap $(LOCKS)/run.lock pyproject.toml
	$(SYNC) $(LOCKS)/bootstrap.lock $(LOCKS)/run.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.ready: .venv/.bootstrap $(LOCKS)/run.lock $(LOCKS)/dev.lock pyproject.toml
	$(SYNC) --compile-bytecode $(LOCKS)/dev.lock  # tests start many processes; each would compile it all anew
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# The app in pwa/, built into server/static. `app` never fails: without it the API runs, and its page says so.
app:
ifeq ($(NPM),)
	@echo "There is no npm here: the app is not built, the API runs without it (Node 20 or newer builds it)." >&2
else
	@$(MAKE) --no-print-directory $(BUILT) || echo "The app was not built: see above. The API runs without it." >&2
endif

ifneq ($(NPM),)
.PHONY: test-pwa
test: test-pwa
test-pwa: $(BUILT)
	cd pwa && npx tsc --noEmit && npx tsc --noEmit -p tsconfig.tests.json && npx vitest run
endif

types: .venv/.ready pwa/node_modules/.ready ## write the PWA's types anew from the collections
	$(BIN)/python -m tests.pwa.types
	cd pwa && npm run --silent types

pwa/node_modules/.ready: pwa/package-lock.json pwa/.npmrc
	cd pwa && npm ci --no-audit --no-fund --no-progress --loglevel=error
	@touch $@

$(BUILT): pwa/node_modules/.ready $(shell find pwa/src pwa/build pwa/public pwa/index.html pwa/vite.config.ts -type f 2>/dev/null)
	cd pwa && npx vite build --logLevel warn
	@touch $@
