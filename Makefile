# make demo    its own environment in .venv, then the embedded model on a generated CT
# make test    everything: format, lint, types, import contract, manifest, tests
# make help    the rest

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV ?= .venv
WHEEL_VENV := .venv-wheel
BIN := $(VENV)/bin
PYTEST_ARGS ?=

# sam2 is built from source: with the torch it will run with, and without its CUDA extra.
# Older pips take the constraint for builds from the first variable, newer from the second.
PIP := PIP_CONSTRAINT=$(CURDIR)/constraints.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/constraints.txt \
	SAM2_BUILD_CUDA=0 PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip

.PHONY: help demo picture test check format package clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## /  make \1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## install, then mask, picture and table of a generated CT in demo-output/
	$(BIN)/napari-sss demo

picture: demo  ## the README's picture, docs/demo.png, made anew by the demo
	mkdir -p docs
	cp demo-output/picture.png docs/demo.png

test: check  ## all checks and all tests, under a virtual display
	.ci/system-packages display
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.installed-dev  ## format, lint, types, import contract, manifest
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari_sss/napari.yaml

format: $(VENV)/.installed-dev  ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

package: $(VENV)/.installed-dev  ## wheel and sdist in dist/, checked; the wheel is installed and run
	rm -rf build dist $(WHEEL_VENV)
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	.ci/try-wheel $(VENV) $(WHEEL_VENV)

clean:  ## remove what was made here, environments included
	rm -rf $(VENV) $(WHEEL_VENV) build dist demo-output *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	.ci/system-packages venv "$(PYTHON)"
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python setup.cfg pyproject.toml constraints.txt
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python setup.cfg pyproject.toml constraints.txt
	$(PIP) install --quiet --editable ".[dev]"
	@touch $@ $(VENV)/.installed
