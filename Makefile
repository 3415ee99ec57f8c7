PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: demo test matrix setup lint package benchmarks

demo: $(INSTALLED)  ## set everything up and run the main job
	@$(BIN)/multitrack demo

test: $(INSTALLED)  ## set everything up and run the tests
	$(BIN)/python -m pytest tests examples --numprocesses auto --dist loadfile

matrix: $(INSTALLED)  ## the tests beside older and newer SDKs, each in an environment of its own
	$(BIN)/nox --error-on-missing-interpreters --keywords 'not later'
	$(BIN)/nox --no-error-on-missing-interpreters --session later

setup: $(INSTALLED)

lint: $(INSTALLED)  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

package: $(INSTALLED)  ## the wheel and the source distribution
	$(BIN)/python -m build

benchmarks: $(INSTALLED)  ## measure what it costs, and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

# the stamp is newer than what it was made from, so that an unchanged project is not installed again
$(INSTALLED): pyproject.toml
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@
