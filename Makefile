# Two commands: `make book` builds the book, `make test` runs every test. Both set up what they need.
# Needed beforehand: Python 3.11 or newer, and make.

PYTHON ?= python3

# conda users: `conda env create -f environment.yml && conda activate fixmatch-lite`, and the same targets
# use that environment in place of .venv.
ifeq ($(CONDA_DEFAULT_ENV),fixmatch-lite)
ENV := $(CONDA_PREFIX)
else
ENV := .venv
endif
BIN := $(ENV)/bin
STAMP := $(ENV)/.fixmatch-lite-installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

export PYTHONNOUSERSITE := 1
# Threads that wait for each other in a busy loop make a chapter ten times slower where something else wants the cores too.
export OMP_WAIT_POLICY ?= PASSIVE
export OPENBLAS_NUM_THREADS ?= 1

MINUTES ?= 60
PROCESSES ?= 1
ROOT ?=

.PHONY: help setup book pdf test unit lab runs clean distclean

help:  ## list the targets
	@echo "FixMatch Lite. Targets:"
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv and install the module, the book's tools and the tests' tools

book: $(STAMP)  ## run every notebook and build the book, then say where it is
	@$(BIN)/python tools/build_book.py

pdf: book  ## print the built book into one PDF (needs Chromium)
	@$(BIN)/python tools/make_pdf.py

# Two at a time, a file (a notebook) to each, and one thread each: torch's threads in both would fight for the cores.
# The book has just run every notebook in full; here they run again in the fast speed, each cell for its own.
test: book  ## run everything: units, notebooks, the built book, the browser
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests
	@OMP_NUM_THREADS=1 FIXMATCH_LITE_FAST=1 PYTHONPATH=tools $(BIN)/python -m pytest -p second_kernel -n 2 --dist loadfile --nbval-lax --nbval-current-env --ignore=notebooks/blank --ignore=notebooks/unsolved notebooks

unit: $(STAMP)  ## run the module's own tests only (no book, no notebooks, no browser)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests --ignore=tests/test_book.py --ignore-glob="*test_browser*"

lab: $(STAMP)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=notebooks

runs: $(STAMP)  ## do the next of the wanted runs that are missing (MINUTES=60 PROCESSES=1 ROOT=data)
	$(BIN)/python tools/record_runs.py --minutes $(MINUTES) --processes $(PROCESSES) $(if $(ROOT),--root "$(ROOT)")

clean:  ## remove the built book, the notebooks' cache and the test caches
	rm -rf _build build *.egg-info .pytest_cache
	find . -path ./.venv -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean  ## the same, and remove .venv
	rm -rf .venv

# torch comes first and alone: on a machine that holds a CPU build of it, nothing later fetches the CUDA one.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "FixMatch Lite needs Python 3.11 or newer, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Name a newer one: make PYTHON=/path/to/python3.12 $(or $(MAKECMDGOALS),book)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(ENV) || { rm -rf .venv; \
	  echo "$(PYTHON) could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing into $(ENV), once: PyTorch first (the largest part), then the rest. A few minutes."
	@$(PIP) torch
	@$(PIP) torchvision
	@$(PIP) --editable '.[book,export,test]'
	@touch $@
