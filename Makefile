PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: demo test test-browser quick matrix setup lint coverage docs cassettes package benchmarks fuzz help

demo: $(INSTALLED)  ## record, replay and show tool calls with a local provider (the default)
	@$(BIN)/multitrack demo

test: $(INSTALLED)  ## run all tests
	$(BIN)/python -m pytest tests examples --numprocesses auto --dist loadfile --no-loadscope-reorder

test-browser: $(INSTALLED)  ## drive the HTML report in headless Chromium; requires chromium and chromedriver
	$(BIN)/python -m pytest tests/browser/browse_report.py

quick: $(INSTALLED)  ## run the tests that start no process and no server, in less than a minute
	$(BIN)/python -m pytest tests examples -m 'not slow' --numprocesses auto --dist loadfile --no-loadscope-reorder

# With coverage, the tests take half as long again, so it is measured with the quick tests only. `make coverage
# SELECTION=` measures all tests.
SELECTION ?= -m "not slow"

coverage: $(INSTALLED)  ## run the quick tests and measure branch coverage; fail below the figure in pyproject.toml
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests examples --numprocesses auto --dist loadfile --no-loadscope-reorder $(SELECTION)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

matrix: $(INSTALLED)  ## run the tests with older and newer SDKs and Pythons, each in its own environment
	$(BIN)/nox --error-on-missing-interpreters --keywords 'not later and not unused'
	$(BIN)/nox --no-error-on-missing-interpreters --session later

lint: $(INSTALLED)  ## check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# the time for all targets together, and a seed other than 0 to repeat a run
FUZZ_SECONDS ?= 600
FUZZ_SEED ?= 0

fuzz: $(INSTALLED)  ## feed damaged and hostile input to the reader, the decoders, the redactor and the HTTP parser
	$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

docs: $(INSTALLED)  ## build the documentation into site/; fail on a broken link
	$(BIN)/zensical build --clean --strict

cassettes: $(INSTALLED)  ## record cassettes/library from the stand-in provider, and write docs/behaviours.md
	$(BIN)/python -W ignore::FutureWarning -m scripts.behaviours

package: $(INSTALLED)  ## build the wheel and the source distribution into dist/
	$(BIN)/python -m build

benchmarks: $(INSTALLED)  ## measure the costs and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

setup: $(INSTALLED)  ## create the environment in .venv

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*##/\1:/p' Makefile

# The Python is checked before the environment is created, so that a wrong one leaves nothing behind. A fixed word is
# compared and not an exit code, because an old Python or a wrapper script may do anything with the program.
CHECK_VERSION = import sys; print(sys.version_info >= (3, 11))
CHECK_VENV = import ensurepip, venv; print(True)
NAME_ANOTHER = name another one: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3.11

# The stamp is newer than the files that it was made from, so that an unchanged project is not installed again.
$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
	  { echo "$(PYTHON) was not found: install Python 3.11 or newer, or $(NAME_ANOTHER)" >&2; exit 1; }
	@test "$$($(PYTHON) -c '$(CHECK_VERSION)' 2>/dev/null)" = True || { echo "$(PYTHON) is" \
	  "$$($(PYTHON) --version 2>&1), but Multitrack requires 3.11 or newer: $(NAME_ANOTHER)" >&2; exit 1; }
	@test "$$($(PYTHON) -c '$(CHECK_VENV)' 2>/dev/null)" = True || { echo "$(PYTHON) has no venv module:" \
	  "install it (Debian: apt install python3-venv), or $(NAME_ANOTHER)" >&2; exit 1; }
	@echo "creating the environment $(VENV) with $$($(PYTHON) --version 2>&1)"
	@$(PYTHON) -m venv $(VENV)
	@test "$$($(BIN)/python -c '$(CHECK_VERSION)' 2>/dev/null)" = True || { echo "$(VENV) was created with" \
	  "$$($(BIN)/python --version 2>&1), but Multitrack requires 3.11 or newer: rm -r $(VENV)" >&2; exit 1; }
	@echo "updating pip"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@echo "installing Multitrack, the SDKs that its tests use, and the development tools (one to two minutes)"
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@
	@echo "$(VENV) is ready"
