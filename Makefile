# Everything a person does with a checkout of Assay. Needs Python >= 3.11, make and git; `make` alone lists the targets.
#
# The virtual environment is .venv. What was installed into it is remembered in .venv/*.stamp, a copy of the requirements
# file that is written last: an unchanged file installs nothing, and an install that was cut short is done again.

.POSIX:
.SUFFIXES:

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
RUN_STAMP = $(VENV)/run.stamp
DEV_STAMP = $(VENV)/dev.stamp
INSTALL = python=$$(sh deploy/local/find_python.sh "$(PYTHON)") && "$$python" -I deploy/local/install.py $(VENV)
ARGS =
LOCKS = requirements/serve.txt requirements/run.txt requirements/dev.txt
DATA =

help: ## list what make can do here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run: $(RUN_STAMP) ## start Assay on this machine: PostgreSQL, Redis, ingest, worker and api; Ctrl-C stops it
	@exec $(BIN)/python -m deploy.local run $(ARGS)

demo: $(RUN_STAMP) ## send more generated scores to the demo project of a running Assay
	@exec $(BIN)/python -m deploy.local demo $(ARGS)

load: $(RUN_STAMP) ## send a folder's scores to a running Assay: make load DATA=folder
	@test -n "$(DATA)" || { echo "Say which folder: make load DATA=folder" >&2; exit 2; }
	@exec $(BIN)/python -m deploy.local load "$(DATA)" $(ARGS)

test: $(DEV_STAMP) ## run every test; make test ARGS="-k trends" runs some
	@$(BIN)/python -m pytest -q sdk/python/tests
	@exec $(BIN)/python -m pytest -q --numprocesses logical --maxprocesses 4 --dist loadgroup $(ARGS)

chaos: $(DEV_STAMP) ## break things under load and count: make chaos ARGS="--kills 100 --seed 7"
	@exec $(BIN)/python -m tests.chaos $(ARGS)

upgrade: $(DEV_STAMP) ## roll out from the previous release under load, back, and out again, and count
	@exec $(BIN)/python -m tests.upgrade $(ARGS)

restarts: $(DEV_STAMP) ## restart each service and all of them behind the proxy, under load, and count; needs Caddy
	@exec $(BIN)/python -m tests.deploy $(ARGS)

scaling: $(DEV_STAMP) ## measure how fast 1, 2 and 4 workers empty a queue of a million scores
	@exec $(BIN)/python -m tests.scaling $(ARGS)

check: $(DEV_STAMP) ## check format, lint, types, import contracts, what is generated, the lock and its advisories
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict
	PYTHONPATH=sdk/python/src $(BIN)/lint-imports
	$(BIN)/python -m docs.openapi --check
	$(BIN)/python -m docs.access --check
	$(BIN)/python -m docs.tables --check
	$(BIN)/python -m deploy.monitoring --check
	$(BIN)/python -m deploy.local.lock_check $(LOCKS) bench/peers/phoenix.txt
	@$(BIN)/python -m deploy.local.audit $(LOCKS)

audit: $(DEV_STAMP) ## ask whether a pinned version has a known vulnerability
	@exec $(BIN)/python -m deploy.local.audit $(LOCKS) $(ARGS)

fuzz: $(DEV_STAMP) ## fuzz what strangers can reach: make fuzz ARGS="--seconds 60"; see tests/fuzz/
	@exec $(BIN)/python -m tests.fuzz $(ARGS)

format: $(DEV_STAMP) ## put the code in its standard form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV_STAMP) ## measure: see bench/README.md
	@exec $(BIN)/python -m bench $(ARGS)

bench-peers: $(DEV_STAMP) ## measure Assay beside Arize Phoenix, which is installed into .peers/ first
	@exec $(BIN)/python -m bench.peers $(ARGS)

lock-peers: $(DEV_STAMP) ## pin what bench-peers installs
	cd bench/peers && ../../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock-peers" \
		phoenix.in --output-file phoenix.txt

openapi: $(DEV_STAMP) ## write docs/openapi/*.json and the table of access again from the types
	$(BIN)/python -m docs.openapi
	$(BIN)/python -m docs.access

tables: $(DEV_STAMP) ## write the tables of docs/operating.md again: settings, metrics, alerts
	$(BIN)/python -m docs.tables

dashboards: $(DEV_STAMP) ## write deploy/monitoring/dashboards/*.json again from the boards
	$(BIN)/python -m deploy.monitoring

lock: $(DEV_STAMP) ## choose and pin the newest versions that requirements/*.in allow
	cd requirements && ../$(BIN)/uv pip compile $(COMPILE) run.in --output-file run.txt
	cd requirements && ../$(BIN)/uv pip compile $(COMPILE) --constraints run.txt serve.in --output-file serve.txt
	cd requirements && ../$(BIN)/uv pip compile $(COMPILE) --constraints run.txt dev.in --output-file dev.txt

clean: ## remove the virtual environment and caches; data in .assay/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

COMPILE = --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--no-emit-find-links --override overrides.txt --custom-compile-command "make lock"

# When the environment's Python is gone (an upgrade of the system's), its link leads nowhere and everything is done again.
$(BIN)/python:
	@rm -f $(RUN_STAMP) $(DEV_STAMP)

$(RUN_STAMP): requirements/run.txt $(BIN)/python
	@$(INSTALL) requirements/run.txt

$(DEV_STAMP): requirements/dev.txt $(BIN)/python
	@$(INSTALL) requirements/dev.txt

.PHONY: help run demo load test chaos upgrade restarts scaling check audit fuzz format bench bench-peers lock-peers \
	openapi tables dashboards lock clean
