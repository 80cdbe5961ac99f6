# Every target prepares what it needs in .venv. Only make and Python 3.11 or newer are expected.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo serve test faults lint style types imports contract generate release-contract clients conformance load bench profile tools golden clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
BENCH := $(VENV)/.bench
RELEASED := protos/released.binpb

# An explicit PYTHON is taken at its word; otherwise an old python3 gives way to a newer one beside it.
ifeq ($(origin PYTHON),file)
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3.14
else
PYTHONS := $(PYTHON)
endif

# The lines of these files must be covered to 99 %; those of the whole code to 92 %.
PROMPT_SUBSYSTEM := \
	service/pecia_service/canonical.py \
	service/pecia_service/errors.py \
	service/pecia_service/registry/* \
	service/pecia_service/rendering/* \
	service/pecia_service/audit/* \
	service/pecia_service/server/admin.py \
	service/pecia_service/server/registry.py \
	service/pecia_service/server/prompts.py \
	service/pecia_service/server/batch.py \
	service/pecia_service/server/render_stream.py \
	service/pecia_service/server/audit.py \
	service/pecia_service/server/requests.py \
	service/pecia_service/server/convert/*
comma := ,
empty :=
space := $(empty) $(empty)

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## Start a server, publish the examples, render, and replay to the byte
	@$(BIN)/python docs/examples/demo.py

serve: $(RUNTIME) ## Run a server on the embedded store, with settings from PECIA_*
	@$(BIN)/pecia serve

test: $(DEVELOPMENT) ## Run all tests (or ARGS='...' for pytest), then the coverage gates
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist loadfile $(ARGS)
	$(BIN)/coverage combine --quiet
	$(if $(ARGS),,$(BIN)/coverage report --fail-under=99 --include='$(subst $(space),$(comma),$(strip $(PROMPT_SUBSYSTEM)))')
	$(if $(ARGS),,$(BIN)/coverage report --fail-under=92)

faults: $(DEVELOPMENT) ## Break everything on purpose (half an hour) and write docs/reliability.md
	FAULTS=full FIGURES=docs/reliability.md $(BIN)/python -m pytest tests/faults $(ARGS)

lint: style types imports contract ## Run every static check: style, types, imports, contract

style: $(DEVELOPMENT) ## Check the code's style and format with ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(DEVELOPMENT) ## Check the types with mypy --strict
	$(BIN)/mypy

imports: $(DEVELOPMENT) ## Check that imports follow the architecture's arrows
	$(BIN)/lint-imports

contract: $(DEVELOPMENT) ## Lint the protos, refuse breaks since the last release and stale stubs
	$(BIN)/buf lint protos
	$(BIN)/buf format protos --diff --exit-code
	$(BIN)/buf breaking protos --against $(RELEASED)
	$(BIN)/python protos/generate.py --check

generate: $(DEVELOPMENT) ## Regenerate the stubs and the descriptor set in generated/
	$(BIN)/python protos/generate.py

release-contract: $(DEVELOPMENT) ## Record the contract as released: what `make contract` protects
	$(BIN)/buf build protos --exclude-source-info --output $(RELEASED)

clients: $(DEVELOPMENT) ## Generate the clients for Go, TypeScript and Java, or LANGUAGES='go java'
	$(BIN)/python -m protos.clients.generate $(LANGUAGES)

conformance: $(DEVELOPMENT) ## Prove the clients of all languages, or LANGUAGES='python go', on a live server
	$(BIN)/python tests/clients/run.py $(if $(LANGUAGES),--languages $(LANGUAGES))

load: $(DEVELOPMENT) ## Put load on a server and check every answer (ARGS='--help'), else on one of its own
	$(BIN)/python tests/load/load.py $(or $(ARGS),--serve)

bench: $(BENCH) ## Measure speed against the floor and peers (ARGS='--quick', '--write docs/performance.md')
	PYTHONPATH=tests $(BIN)/python -m load.bench $(ARGS)

profile: $(BENCH) ## Say where a Render's processor time goes (ARGS='--write docs/performance.md')
	PYTHONPATH=tests $(BIN)/python -m load.profile_render $(ARGS)

tools: $(VENV)/.tools/grpcurl $(VENV)/.tools/ghz ## Build grpcurl and ghz with Go, for the tests that use them as they are

golden: $(DEVELOPMENT) ## Regenerate the golden vectors in tests/golden/
	$(BIN)/python tests/golden/generate.py

clean: ## Remove the virtual environment, generated clients and every cache
	rm -rf generated/clients tests/clients/*/target tests/clients/*/node_modules tests/clients/*/dist
	rm -rf $(VENV) .cache .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(RUNTIME): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEVELOPMENT): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(RUNTIME) $@

$(BENCH): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	@touch $(RUNTIME) $(DEVELOPMENT) $@

$(VENV)/.tools/grpcurl:
	GOBIN=$(CURDIR)/$(@D) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4

$(VENV)/.tools/ghz:
	GOBIN=$(CURDIR)/$(@D) go install github.com/bojand/ghz/cmd/ghz@v0.121.0

$(BIN)/python:
	@for python in $(PYTHONS); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Creating $(VENV) with $$("$$python" --version)"; \
			"$$python" -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "$$python cannot make a virtual environment: install its venv package (Debian: python3-venv)." >&2; \
			exit 1; \
		fi; \
	done; \
	echo "Pecia needs Python 3.11 or newer; none of these is: $(PYTHONS)." >&2; \
	echo "Install it and say where it is: make PYTHON=/path/to/python3.13 ..." >&2; \
	exit 1
