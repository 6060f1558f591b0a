# Needs python3 with pip and venv, and nothing else. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: help venv test lint types unit soak demo bench examples clean

help:
	@echo "make demo     score the example images, sort them, and write a report, all in demo/"
	@echo "make test     lint, types and all ordinary tests; adds Ray and the test tools to .venv"
	@echo "make soak     the tests that take many minutes: a scan that is killed two hundred times"
	@echo "make bench    the benchmarks, ratios in one run; ONLY=scan runs one"
	@echo "make examples make examples/images again"
	@echo "make clean    remove what make has made, .venv included"

venv: $(VENV)/ready

# What the command needs. torch and torchvision are asked for together and without a bound, so that one index answers
# for both. .venv/src/keepers lets tests and type checker import the checkout by its name, whatever the folder is called.
$(VENV)/command: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch torchvision timm
	mkdir -p $(VENV)/src
	ln -sfn ../.. $(VENV)/src/keepers
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli]'
	touch $@

# What tests and benchmarks need besides.
$(VENV)/ready: $(VENV)/command
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,dev,ray]'
	touch $@

test: lint types unit

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/pyright

unit: venv
	$(BIN)/python -m pytest -n $(WORKERS)

soak: venv
	$(BIN)/python -m pytest -m long -s

demo: $(VENV)/command
	@# one of the example files is broken on purpose, so the scan ends with 3: finished, but not all could be read
	$(BIN)/keepers scan examples/images --report demo/report.html --sort demo/sorted --db demo/keepers.db --fresh \
		|| test $$? -eq 3
	@echo
	@echo "Open demo/report.html in a browser; the sorted copies are in demo/sorted."
	@echo "The next steps:  keepers fetch coherence   keepers fetch faramir   keepers fetch jtp   (keepers models lists all)"

bench: venv
	$(BIN)/python -m keepers.benchmarks $(ONLY)

examples: $(VENV)/command
	$(BIN)/python examples/make_images.py

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
