# mlframe: every task of a developer. `make` lists them.
#
# Variables: PYTHON=python3.12 picks the interpreter of a new .venv, TESTS='-n 4 tests/store' the arguments of pytest.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
TESTS ?= -n 4 --dist worksteal
PLUGINS := plugins/mlframe-xgboost plugins/mlframe-catboost plugins/mlframe-river plugins/mlframe-dagster
INPUTS := pyproject.toml constraints.txt
# Plugins bring no dependencies of their own here: requirements-dev.txt tells why.
EDITABLE_PLUGINS := --no-deps --no-build-isolation $(PLUGINS:%=-e %)

# Four tests at a time on two cores, since many wait for processes that they start. A library that starts a thread for each
# core would wait for the other tests'. Threads that tests ask for all the same soon sleep while they wait; spinning makes
# LightGBM a hundred times slower there.
IN_TESTS := OMP_NUM_THREADS=1 GOMP_SPINCOUNT=1000

# The newest Python that runs, is 3.11 or later, and can make environments.
FIND_PYTHON = for name in python3.13 python3.12 python3.11 python3; do \
	path=$$($$name -c 'import sys, venv, ensurepip; sys.version_info >= (3, 11) and print(sys.executable)' 2>/dev/null); \
	if [ -n "$$path" ]; then echo "$$path"; break; fi; done
PYTHON ?= $(shell $(FIND_PYTHON))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------------------------------- environments

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "mlframe needs Python 3.11 or later with the modules venv and ensurepip;" \
		"install one (on Debian and Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python3" >&2; exit 2; fi
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.demo: $(INPUTS) | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(INPUTS) requirements-dev.txt $(PLUGINS:%=%/pyproject.toml) | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt -r requirements-dev.txt
	$(BIN)/python -m pip install -q $(EDITABLE_PLUGINS)
	@touch $(VENV)/.demo $@

.PHONY: install
install: $(VENV)/.dev ## make .venv with the package, its plugins and all tools

# ---------------------------------------------------------------------------------------------------- to try it

.PHONY: demo
demo: $(VENV)/.demo ## install what is needed and train a spam filter on real mail
	$(BIN)/python -m mlframe model=lgbm data=email

# ---------------------------------------------------------------------------------------------------- to check it

.PHONY: test
test: lint ## install what is needed and run the whole suite: style, types, layers, tests
	$(IN_TESTS) $(BIN)/python -m pytest $(TESTS)

.PHONY: lint
lint: $(VENV)/.dev ## style, format, types and import layers, without tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy $(foreach folder,$(PLUGINS),$(filter-out %.egg-info,$(wildcard $(folder)/mlframe_*)))
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.dev ## put imports and format right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: newest
newest: ## the tests with the newest release of everything, in an environment of its own
	"$(PYTHON)" -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install -q --upgrade --upgrade-strategy eager -r requirements-dev.txt
	$(VENV)-newest/bin/python -m pip install -q $(EDITABLE_PLUGINS)
	$(IN_TESTS) $(VENV)-newest/bin/python -m pytest $(TESTS)

.PHONY: bench
bench: $(VENV)/.dev ## measure speed and memory against a hand-written script; writes docs/performance.md
	$(BIN)/python benchmarks/run.py

.PHONY: bench-models
bench-models: $(VENV)/.dev ## compare experiment=best with FLAML, sweeps with Optuna, ensembles with members: an hour
	$(BIN)/python benchmarks/models.py

# ---------------------------------------------------------------------------------------------------- to release it

.PHONY: constraints
constraints: ## resolve every version afresh on Python 3.11, 3.12 and 3.13 and write constraints.txt
	"$(PYTHON)" scripts/freeze.py python3.11 python3.12 python3.13

.PHONY: docs
docs: $(VENV)/.dev ## write docs/hooks.md from the hook specifications
	$(BIN)/python docs/make_hooks.py

.PHONY: pictures
pictures: $(VENV)/.dev ## make the README's pictures from real runs
	$(BIN)/python scripts/pictures.py

.PHONY: wheel
wheel: $(VENV)/.dev ## build the wheels of mlframe and its plugins into dist/
	for folder in . $(PLUGINS); do $(BIN)/python -m build --wheel --outdir dist $$folder || exit 1; done

.PHONY: clean
clean: ## remove what the other targets made, environments too; runs and models in .mlframe stay
	rm -rf $(VENV) $(VENV)-newest build dist *.egg-info plugins/*/build plugins/*/*.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find mlframe conf tests plugins examples scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
