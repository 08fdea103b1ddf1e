# Each target does all of its own set-up: the environment in .venv is made when it is missing or out of date.

PYTHON ?= python3
BIN := .venv/bin
ENV := .venv/.complete

# the figures and the proof have an environment of their own, with the packages that they are held against
PROOF := .venv-bench/bin
PROOF_ENV := .venv-bench/.complete
FIGURES := docs/evidence
SECONDS ?= 3600
EXAMPLES ?= 50000
RUNS ?= 1000000

.PHONY: demo test lint snapshots bench field conformance fuzz stress attack evidence clean

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
	$(BIN)/lint-imports

# every message anew; read the diff before you commit it
snapshots: $(ENV)
	SAFE_NUMPY_WRITE_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/test_messages.py tests/test_messages_tensorflow.py

# every figure of docs/evidence.md; then the page itself. Each target writes one file of $(FIGURES).
bench: $(PROOF_ENV)
	$(PROOF)/python benchmarks/bench.py --json $(FIGURES)/bench.json
	$(PROOF)/python benchmarks/coverage.py --json $(FIGURES)/coverage.json
	$(PROOF)/python benchmarks/growth.py --json $(FIGURES)/growth.json
	$(PROOF)/python benchmarks/instructions.py --json $(FIGURES)/instructions.json
	$(MAKE) evidence

# programs after public reports, and their mutants: what is said, and whether the printed fixes are right; some 15 minutes
field: $(ENV)
	$(BIN)/python tests/field --mutants 50 --json $(FIGURES)/field.json

conformance: $(PROOF_ENV)
	$(PROOF)/python tests/conformance --json $(FIGURES)/conformance.json

fuzz: $(PROOF_ENV)
	mkdir -p build/fuzz build/fuzz-ledgers
	$(PROOF)/python tests/fuzz/fuzz_ledgers.py $(FIGURES)/fuzz_ledgers.json -runs=$(RUNS) -timeout=15 \
	    -max_len=300 -rss_limit_mb=8000 -artifact_prefix=build/fuzz-ledgers/ build/fuzz-ledgers
	$(PROOF)/python tests/fuzz/fuzz_callsites.py $(FIGURES)/fuzz.json -max_total_time=$(SECONDS) -timeout=15 \
	    -max_len=400 -rss_limit_mb=8000 -artifact_prefix=build/fuzz/ build/fuzz

stress: $(PROOF_ENV)
	$(PROOF)/python tests/stress.py all $(FIGURES)/stress.json
	SAFE_NUMPY_TEST_EXAMPLES=$(EXAMPLES) SAFE_NUMPY_TEST_COUNTS=$(FIGURES)/product.json \
	    $(PROOF)/python -m pytest -q tests/test_product.py

# what SECURITY.md says of ledgers, sources, classes and surroundings; some ten minutes
attack: export SAFE_NUMPY_TEST_TALLY := $(abspath $(FIGURES)/attacks.json)
attack: $(PROOF_ENV)
	rm -f $(FIGURES)/attacks.json
	SAFE_NUMPY_TEST_EXAMPLES=2500 $(PROOF)/python -m pytest -q tests/test_patch_orders.py tests/test_forged.py
	$(PROOF)/python -m pytest -q tests/test_attacks.py tests/attack_greenlets.py tests/test_hostile.py tests/test_huge.py \
	    tests/test_late.py

evidence: $(PROOF_ENV)
	$(PROOF)/python benchmarks/evidence.py

clean:
	rm -rf .venv .venv-bench build dist *.egg-info demo-output .mypy_cache .pytest_cache .ruff_cache

$(ENV): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,tensorflow-cpu,test]'
	touch $@

$(PROOF_ENV): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-bench
	$(PROOF)/python -m pip install --quiet --constraint constraints.txt torch tensorflow-cpu
	$(PROOF)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,tensorflow-cpu,bench,proof]'
	touch $@
