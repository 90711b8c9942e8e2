# Needs python3 (3.10 or newer) and make; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist

.PHONY: library plugin wasm demo test test-all test-cluster test-browser test-plugins check lint types dist parity bench quality clean

library:  ## the engine in C as a shared library; its header is novasr_np/native/engine.h
	$(PYTHON) -m novasr_np.native.build library build/libnovasr.so

plugin:  ## the engine as a LADSPA plugin, for calls and players; needs numpy
	$(PYTHON) -m novasr_np.native.build plugin build/novasr.so

wasm: .venv/browser  ## the engine as WebAssembly; what it writes is part of the repository
	$(BIN)/python -m novasr_np.native.build wasm novasr_np/web

demo: .venv/demo  ## upsample two short clips; demo/ gets the sound and a picture of before and after
	$(BIN)/python -m bench.demo

test: .venv/test  ## install what the tests need, run all but the slow ones
	$(PYTEST) loadfile -m "not slow"

# JAX's programs are compiled soon, not well, or the whole would take too long.
test-all: export JAX_DISABLE_MOST_OPTIMIZATIONS = 1
test-all: test  ## then the slow ones: kills, signals, eight devices
	$(PYTEST) worksteal -m slow

test-cluster: .venv/cluster  ## corpus jobs on Ray, with actors and a node killed
	$(BIN)/python -m pytest tests/test_corpus_ray.py

test-browser: .venv/browser  ## the page in headless Chromium, which has to be there
	$(PYTEST) loadfile -m browser tests/test_web.py

test-plugins: .venv/plugins/bin/python  ## the plugin for Open Voice OS, in an environment of its own
	.venv/plugins/bin/python -m pytest tests/test_plugins.py

check: lint types test-all dist  ## all that has to pass

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev
	$(BIN)/mypy

dist: .venv/dev  ## the sdist and the wheel, checked
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/twine check --strict dist/*
	@test $$(cat dist/*.whl | wc -c) -le 1500000 || { echo "the wheel is larger than 1.5 MB"; exit 1; }

parity: .venv/test  ## this code against the original's outputs; writes bench/PARITY.md (needs NOVASR_SHARED)
	$(BIN)/python -m bench.parity -o bench/PARITY.md

bench: .venv/bench  ## speed beside the peers; writes bench/RESULTS.md (needs NOVASR_SHARED)
	mkdir -p .benchmarks
	$(BIN)/python -m pytest bench -q -p no:cacheprovider --benchmark-json=.benchmarks/speed.json
	$(BIN)/python -m bench.report .benchmarks/speed.json bench/RESULTS.md

quality: .venv/quality  ## how good weights are on real speech; writes bench/QUALITY.md (needs NOVASR_SHARED)
	$(BIN)/python -m bench.quality -o bench/QUALITY.md

.venv/plugins/bin/python: pyproject.toml
	$(PYTHON) -m venv .venv/plugins
	.venv/plugins/bin/python -m pip install --quiet --editable '.[ovos]' pytest hypothesis setuptools

.venv/quality: pyproject.toml .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[quality]'
	touch $@

.venv/browser: pyproject.toml .venv/test
	$(BIN)/python -m pip install --quiet playwright ziglang==0.17.1
	touch $@

.venv/cluster: pyproject.toml .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[cluster]'
	touch $@

.venv/bench: pyproject.toml .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m pip install --quiet torch==2.13.0 || echo "no torch: its rows are left out"
	touch $@

.venv/demo: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[plot]'
	touch $@

.venv/test: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

.venv/dev: pyproject.toml .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[lint]'
	touch $@

clean:
	rm -rf .venv demo build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
