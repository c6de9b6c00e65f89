# make lab      open the course in JupyterLab (the first time: installs everything into .venv)
# make test     check everything: style, units and conformance, all lessons, a real browser, the book
# make quick    style and unit tests only: before each commit
# make lint     only its first part: ruff, spelling, notebooks up to date (some seconds)
# make course   run all lessons without a browser and print minutes, memory and result of each
# make book     build the course as a book of HTML pages, build/book/index.html
# make notebooks   write the .ipynb files and tables again after a change to notebooks/*.py
#
# PYTHON=python3.12 chooses the interpreter (3.10 or newer).
# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes the small CPU build of PyTorch.
# ONLY="00 03" and OUT=folder go to `make course`.

ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := .venv/Scripts
else
PYTHON ?= python3
BIN := .venv/bin
endif
PY := $(BIN)/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install lab test quick lint course notebooks book

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

install: $(INSTALLED)

# Runs again only when pyproject.toml is newer than the last complete installation. What is
# already in .venv (such as a CPU build of PyTorch) stays as it is.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c "import sys; v = sys.version_info; v >= (3, 10) or sys.exit(f'this course needs Python 3.10 or newer, and $(PYTHON) is {v[0]}.{v[1]}: try make PYTHON=python3.12')"
	@test -x $(PY) || { echo "Creating .venv ..."; $(PYTHON) -m venv .venv; }
	@echo "Installing the course into .venv: the first time up to 6 GB and some minutes ..."
	@$(PIP) "pip>=23"
ifdef TORCH_INDEX
	@$(PIP) torch torchvision --index-url $(TORCH_INDEX)
endif
	@$(PIP) --editable ".[dev,slides]"
	@touch $(INSTALLED)
	@echo "Done."

lab: $(INSTALLED)
	@$(PY) -m derain_edu lab

# What `make lint`, the first part of `make test`, and .pre-commit-config.yaml run: all three
# checks, even if one fails.
LINT = lint() { \
	faults=0; \
	$(PY) -m ruff check . || faults=1; \
	$(PY) -m codespell_lib || faults=1; \
	$(PY) -m pytest -q -p no:cacheprovider tests/course/test_notebooks_in_step.py \
		tests/course/translation -k up_to_date || faults=1; \
	[ $$faults = 0 ]; \
	}

lint: $(INSTALLED)
	@$(LINT); lint

# `part NAME COMMAND ...` runs a part of the tests, prints how long it took, and notes whether it
# failed. `summary` prints all parts again, and fails if one of them did.
PARTS = failed=0; summary=; start=$$(date +%s); \
	took() { \
		line="--- $$1: $$(($$2 / 60)) min $$(($$2 % 60)) s$$3"; \
		echo "$$line"; \
	}; \
	part() { \
		name=$$1; shift; \
		echo "--- $$name"; \
		began=$$(date +%s); fault=; \
		"$$@" || { failed=1; fault=", FAILED"; }; \
		took "$$name" $$(($$(date +%s) - began)) "$$fault"; \
		summary="$$summary$$line\n"; \
	}; \
	summary() { \
		printf '%b' "\nAll parts:\n$$summary"; \
		took "in all" $$(($$(date +%s) - start)); \
		[ $$failed = 0 ]; \
	}

# All tests run side by side, one thread each. The book comes after the lessons: it shows what their
# newcomers saw, and runs none of them again. Files of the last part stay together, because the tests
# of a file share a browser or a book. All parts run even if one fails. What needs chromium skips,
# and says so, where there is none.
SLOW := tests/lessons tests/browser tests/book
SIDE_BY_SIDE = env OMP_NUM_THREADS=1 $(PY) -m pytest --dist=worksteal
UNITS = $(SIDE_BY_SIDE) -n auto --maxprocesses=4 $(SLOW:%=--ignore=%)
test: $(INSTALLED)
	@$(LINT); $(PARTS); \
	part style lint; \
	part "unit and conformance tests" $(UNITS) --durations=25 --durations-min=5; \
	part "lessons, two at a time" $(SIDE_BY_SIDE) tests/lessons -v -n 2 \
		--durations=25 --durations-min=5; \
	part "browser and book, two at a time" $(SIDE_BY_SIDE) tests/browser tests/book -v -n 2 \
		--dist=loadfile --durations=15 --durations-min=5; \
	summary

# What a contributor runs before each commit: no lessons, no browser, no reference data.
quick: $(INSTALLED)
	@$(LINT); $(PARTS); \
	part style lint; \
	part "unit tests" $(UNITS) --ignore=tests/conformance -q; \
	summary

course: $(INSTALLED)
	@$(PY) -m derain_edu course $(foreach lesson,$(ONLY),--only $(lesson)) $(if $(OUT),--out $(OUT))

notebooks: $(INSTALLED)
	@$(PY) -m derain_edu notebooks

# Runs the lessons that have changed since the last time, then needs no network and no kernel.
book: $(INSTALLED)
	@$(PY) book/make_book.py
