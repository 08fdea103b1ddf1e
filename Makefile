# Each target does all of its own set-up: the environment in .venv is made when it is missing or out of date.

PYTHON ?= python3
BIN := .venv/bin
ENV := .venv/.complete

.PHONY: demo test lint snapshots bench clean

demo: $(ENV)
	$(BIN)/python examples/digits.py
	$(BIN)/python examples/digits_tensorflow.py
	SAFE_NUMPY=permissive SAFE_NUMPY_REPORT=demo-output/ledger.json $(BIN)/python examples/digits.py
	$(BIN)/safe-numpy fix demo-output/ledger.json

test: $(ENV)
	SAFE_NUMPY_TEST_FRAMEWORKS=torch,tensorflow $(BIN)/python -m pytest --numprocesses 2

lint: $(ENV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# every message anew; read the diff before you commit it
snapshots: $(ENV)
	SAFE_NUMPY_WRITE_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/test_messages.py tests/test_messages_tensorflow.py

bench: $(ENV)
	$(BIN)/python benchmarks/bench.py

clean:
	rm -rf .venv build dist *.egg-info demo-output .mypy_cache .pytest_cache .ruff_cache

$(ENV): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,tensorflow-cpu,test]'
	touch $@
