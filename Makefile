# Headrace. `make` lists the targets; everything that they make is ignored by git.

BIN := .venv/bin
PACKAGES := shared services/router services/loader services/logger services/api services/verifier local
# The root's own pyproject.toml is left out: what it says about packages stands in the locks.
INSTALLED_FROM := tools/setup requirements-build.lock requirements-dev.lock $(PACKAGES:=/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-browser test-containers test-terraform mutants check format images chaos bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.installed ## make .venv with Python >= 3.11 and install the locks (uv if there, else pip)

# The stamp makes a second `make setup` free, and lets it work without a network.
.venv/.installed: $(INSTALLED_FROM)
	@PYTHON='$(PYTHON)' tools/setup
	@touch $@

demo: setup ## start the whole platform on this machine and load real data before your eyes
	@$(BIN)/headrace demo

# What these start is dear, so that a file of tests stays on one worker; the browser's stay on one.
APART := tests/browser tests/containers tests/terraform

test: setup ## run the unit, integration and end-to-end tests (options: ARGS="-k name -x")
	$(BIN)/python -m pytest -n 2 --dist worksteal $(APART:%=--ignore=%) $(ARGS)

test-browser: setup ## run the tests of the page (needs the command chromium)
	$(BIN)/python -m pytest tests/browser $(ARGS)

test-containers: setup ## run the tests of the images (needs a container engine)
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/containers $(ARGS)

test-terraform: setup ## run the tests of infra/terraform (needs terraform; some, a container engine)
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/terraform $(ARGS)

mutants: setup ## change the core's code at random, and see whether the tests notice (MUTANTS, SEED, MODULES)
	@$(BIN)/python -m tools.mutants

check: setup ## formatting, lint, types, and the house's own rules
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m tools.house

format: setup ## format the code and apply the safe fixes of the linter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

images: ## build the container image of every service (BASE_IMAGE, TAG, PREFIX, PUSH=1; needs Docker)
	@tools/images

chaos: setup ## three minutes of crashes and faults, then every table compared with a model (CHAOS_MINUTES, CHAOS_SEED)
	@$(BIN)/python -m tests.chaos

bench: setup ## measure, and print the table that benchmarks/README.md keeps
	$(BIN)/python -m benchmarks

lock: ## write the hashed locks anew from the pyproject.toml files (needs uv; UPGRADE=1 moves versions)
	@UPGRADE='$(UPGRADE)' tools/lock

clean: ## remove everything that the other targets made
	rm -rf .venv .policy-venv .mutants .headrace .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
