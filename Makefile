# The whole set-up on a fresh machine: python3 (>= 3.11), make and git are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EYEGROUND := $(BIN)/eyeground

.PHONY: help setup demo demo-train test check format bench lock clean

help:
	@echo "make demo    set up, read made eyes with the model in the box, say where to look"
	@echo "make demo-train   train, judge and explain a small model on made eyes: ten minutes"
	@echo "make test    set up, run the tests"
	@echo "make check   format, lint, types, floors and budgets"
	@echo "make bench   benchmarks beside their peers; results under benchmarks/results/"
	@echo "make lock    resolve the dependencies anew into requirements.lock"

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "eyeground needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Try: make setup PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/budgets.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks

demo: setup
	$(BIN)/python tools/demo.py

demo-train: setup
	$(BIN)/python tools/demo_train.py

lock:
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra train --extra track --extra dev \
	  --generate-hashes --no-emit-index-url --no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist demo-out demo-train-out .pytest_cache .mypy_cache .ruff_cache
