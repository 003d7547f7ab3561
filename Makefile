# Everything starts from Python 3.11 to 3.13 and make; each target installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
TESTS ?= tests

.PHONY: help quickstart test lint format docs bench bench-quick trust sbom lock clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

quickstart: $(VENV)/.run  ## Install, then train, judge, use and export a text classifier
	@$(BIN)/dlcli run quickstart
	@echo "The command is $(BIN)/dlcli; 'source $(BIN)/activate' makes it dlcli."

test: $(VENV)/.dev  ## Run the tests (TESTS=tests/text for a part)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(TESTS)

lint: $(VENV)/.dev  ## Check style, types and that the generated docs are fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/make_reference.py --check

format: $(VENV)/.dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev  ## Write docs/reference.md anew from --help
	$(BIN)/python docs/make_reference.py

bench: $(VENV)/.dev  ## Measure dlcli beside its peers (about an hour; needs the data of benchmarks/README.md)
	$(BIN)/python benchmarks/text_ngram.py
	$(BIN)/python benchmarks/text_features.py
	$(BIN)/python benchmarks/text_sequences.py
	$(BIN)/python benchmarks/image_augmentation.py
	$(BIN)/python benchmarks/image_training.py
	$(BIN)/python benchmarks/transfer_learning.py

bench-quick: $(VENV)/.dev  ## The same, one run of each and the slow peer cut short and scaled
	$(BIN)/python benchmarks/text_ngram.py --quick

trust: $(VENV)/.dev  ## Try to break every promise of docs/trust.md, and write the figures into it (hours)
	for script in $(TRUST); do $(BIN)/python tests/trust/$$script.py --write || exit 1; done

TRUST := kill stop disks together bad_data mutate million attacks finite repeat supply soak reverts

sbom: $(VENV)/.dev  ## Write dist/sbom.json, a software bill of materials of the pinned packages
	$(BIN)/python tests/trust/supply.py

lock: $(VENV)/.dev  ## Pin all requirements anew, with hashes
	$(BIN)/uv pip compile -q --upgrade $(LOCK) --group build -o requirements/run.txt pyproject.toml
	$(BIN)/uv pip compile -q --upgrade $(LOCK) --group dev -c requirements/run.txt -o requirements/dev.txt pyproject.toml

LOCK := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

clean:  ## Remove what make made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "dlcli needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the pinned packages into $(VENV): a minute or two ..."
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Installing what tests and checks need ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
