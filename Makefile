# Everything runs from .venv, which the first target that needs it makes. Needs: make, and Python 3.11 to 3.13.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c '$(SUPPORTED)' 2>/dev/null && command -v $$name && break; done)
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-emit-index-url --no-header pyproject.toml --extra exchange --extra charts

.PHONY: help demo test test-slow check format dev unattended screenshots bench lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/demo ## a few days of several symbols through Dagster, offline, in a minute
	@$(BIN)/python -m klines_pipeline.demo

test: .venv/dev check ## check, then every test
	@scripts/debian_packages.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/dev ## the tests that take minutes each: thirty simulated days, real daemons
	$(BIN)/python -m pytest -m slow

check: .venv/dev ## lint, format, types, imports, and that the code location loads
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q klines_pipeline_tests/test_architecture.py
	$(BIN)/dagster definitions validate

format: .venv/dev ## format and mend what lint can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

dev: .venv/demo ## the Dagster UI and daemon on the real services; EXCHANGE=embedded: offline, on days of ten minutes
ifeq ($(EXCHANGE),embedded)
	@$(BIN)/python -m klines_pipeline.demo.live
else
	$(BIN)/dagster dev
endif

unattended: .venv/dev ## DAYS=30 SYMBOLS=50: simulated days that nobody attends to, and what became of them
	$(BIN)/python -m klines_pipeline_tests.unattended --days $(or $(DAYS),30) --symbols $(or $(SYMBOLS),50)

screenshots: .venv/dev ## the pictures of the UI in docs/, taken anew
	@scripts/debian_packages.sh
	$(BIN)/python -m klines_pipeline_tests.browser.screenshots

bench: .venv/dev ## throughput as ratios in one run, and what a sensor tick costs
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.sensor_tick
	$(BIN)/python -m benchmarks.s3_ticks --days 600

lock: .venv/dev ## resolve the two locks anew; they record hashes and no hosts
	$(LOCK) --group build --output-file requirements.txt
	$(LOCK) --group dev --output-file requirements-dev.txt

.venv/demo: requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: requirements-dev.txt .venv/demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv/bin/python:
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; say where it is: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

clean: ## remove what make and the tools made, the lake and Dagster's history excepted
	rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
