# Needs python3 (3.10 or newer) and make; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: test check lint types parity clean

test: .venv/test  ## install what the tests need, run them all
	$(BIN)/python -m pytest

check: lint types test  ## all that has to pass

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev
	$(BIN)/mypy

parity: .venv/test  ## the README's table: this code against the original's outputs
	$(BIN)/python -m bench.parity

.venv/test: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

.venv/dev: pyproject.toml .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[lint]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
