# dendrosim: the commands of the project. `make` alone lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Python compiles a module when it is first imported; compiling all that is installed takes longer
# than installing it.
PIP    := $(BIN)/python -m pip install -qq --no-compile

# brian2cuda pins an older Brian2, so the CUDA tests have an environment of their own.
CUDA_VENV := .venv-cuda
CUDA_BIN  := $(CUDA_VENV)/bin
CUDA_PIP  := $(CUDA_BIN)/python -m pip install -qq --no-compile

# An environment is installed again only when one of these has changed since.
INPUTS := setup.py pyproject.toml constraints.txt
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test types test-versions docs notebooks slow cuda cuda-source clean distclean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/.installed-base  ## install the package and write the demonstration to demo/
	$(BIN)/dendrosim demo --out demo

test: $(VENV)/.installed-test  ## lint, check types and run the tests (what continuous integration runs)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python $(PYTEST)
	$(MAKE) -j2 types test-versions docs  # each writes to folders of its own
	@if command -v nvcc > /dev/null; then $(MAKE) cuda-source; \
	 else echo "no nvcc here: generated CUDA source is not checked"; fi

types: $(VENV)/.installed-test  ## check the types of the package with mypy
	$(BIN)/python -m mypy

test-versions:  ## run the base install on Python 3.12 and 3.13, where they are
	.ci/test-versions

docs: $(VENV)/.installed-test  ## run the notebooks and build the pages into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

notebooks: $(VENV)/.installed-test  ## run the notebooks and write them for Jupyter, notebooks/*.ipynb
	$(BIN)/python docs/_ext/ipynb.py

slow: $(VENV)/.installed-test  ## run the slow tests
	$(BIN)/python $(PYTEST) -m "slow and not cuda"

# The older Brian2 of this environment warns of its own imports.
CUDA_PYTEST := $(CUDA_BIN)/python -m pytest -W ignore

cuda: $(CUDA_VENV)/.installed  ## run the tests that need an NVIDIA GPU
	$(CUDA_PYTEST) tests/cuda -m cuda

cuda-source: $(CUDA_VENV)/.installed  ## generate CUDA source and compile it without a GPU
	$(CUDA_PYTEST) -n 2 tests/cuda

clean:  ## remove what builds, tests and the demonstration wrote
	rm -rf build dist demo docs/_build docs/generated *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find dendrosim tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove the environments as well
	rm -rf $(VENV) $(CUDA_VENV)

$(VENV)/.installed-base: $(INPUTS) | $(BIN)/python
	$(PIP) -c constraints.txt setuptools
	$(PIP) -c constraints.txt --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-test: $(INPUTS) | $(BIN)/python
	$(PIP) -c constraints.txt setuptools
	$(PIP) -c constraints.txt --no-build-isolation -e '.[test]'
	@touch $(VENV)/.installed-base $@

# The pins, less the one that brian2cuda makes itself.
$(CUDA_VENV)/.installed: $(INPUTS) | $(CUDA_BIN)/python
	grep -v '^brian2==' constraints.txt > $(CUDA_VENV)/constraints.txt
	$(CUDA_PIP) -c $(CUDA_VENV)/constraints.txt setuptools
	$(CUDA_PIP) -c $(CUDA_VENV)/constraints.txt --no-build-isolation -e '.[cuda,learn]' pytest pytest-xdist hypothesis
	@touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(CUDA_BIN)/python:
	$(PYTHON) -m venv $(CUDA_VENV)
