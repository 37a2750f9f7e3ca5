# `make` lists the targets. Everything is installed in .venv, everything else a checkout makes is in .local and media.

PYTHON ?= python3
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
AUDIT := $(VENV)/audit
AUDITORS := $(AUDIT)/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help setup run test coverage test-browser test-image torture soak images lint types check lock secure audit shell fuzz bench benchapi benchpages benchmachines siege backup restore stop reset clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## Make .venv with everything installed (PYTHON=python3.12 chooses the interpreter)
	@:

# Anew whenever the lock changes. The stamp comes last, so an interrupted installation is taken up again.
$(READY): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo not there)." \
	    "Choose another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(RUN) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) || { \
	  echo "error: $(PYTHON) cannot make $(VENV). On Debian and Ubuntu its venv module is a package of its own:" \
	    "apt-get install python3-venv" >&2; exit 1; }
	$(RUN) -m pip install --quiet -r requirements/dev.txt
	@touch $@

run: setup  ## Start PostgreSQL, Valkey, web, workers and beat; Ctrl-C stops them (PORT=8001 chooses the port)
	$(RUN) manage.py dev $(ARGS)

test: setup  ## Run the tests on every core (ARGS="-k plan -n 0" passes options to pytest)
	$(RUN) -m pytest -n auto $(ARGS)

coverage: setup  ## Run the tests and measure what they cover, which takes half as long again
	$(RUN) -m pytest -n auto --cov $(ARGS)

test-browser: setup  ## Try the pages in Chromium, which has to be installed (SHOTS=folder keeps pictures)
	$(RUN) -m pytest -p no:randomly --override-ini addopts="--strict-markers --allow-hosts=127.0.0.1,::1 --allow-unix-socket" tests/browser $(ARGS)

test-image: setup  ## Build the container image and start every service, where Docker runs, or buildah and debootstrap are installed
	$(RUN) -m pytest -p no:randomly --override-ini addopts="--strict-markers" tests/image $(ARGS)

lint: setup  ## Check style, format and who may import whom
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	PYTHONPATH=. $(VENV)/bin/lint-imports

types: setup  ## Check the types
	$(RUN) -m mypy .

check: lint types secure  ## Lint, types, security, missing migrations and Django's own checks
	$(RUN) manage.py makemigrations --check --dry-run
	$(RUN) manage.py check

lock: setup  ## Compile requirements/*.in to *.txt, for every Python from 3.11 on (ARGS=--upgrade takes newer releases)
	$(RUN) -m pip install --quiet --upgrade --target $(VENV)/uv uv
	for name in base dev production audit; do \
	  $(VENV)/uv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(ARGS) \
	    requirements/$$name.in -o requirements/$$name.txt || exit 1; done

secure: setup $(AUDITORS)  ## Look for dangerous code, for licences that we may not use, and for known holes (asks PyPI)
	$(RUN) -m bandit --quiet --recursive --configfile pyproject.toml accounts catalog config devservers events notifications samples schedule
	$(VENV)/bin/pip-licenses --summary --order count
	PYTHONPATH=$(AUDIT) $(RUN) -m tests.audit

$(AUDITORS): requirements/audit.txt
	$(RUN) -m pip install --quiet --upgrade --target $(AUDIT) --requirement requirements/audit.txt
	@touch $@

audit: setup $(AUDITORS)  ## For a release: list every part and its licence in sbom.json (CycloneDX), and be strict about known holes
	PYTHONPATH=$(AUDIT) $(RUN) -m cyclonedx_py environment $(VENV) --of JSON --output-file sbom.json
	PYTHONPATH=$(AUDIT) $(RUN) -m tests.audit --strict

shell: setup  ## Open Django's shell
	$(RUN) manage.py shell $(ARGS)

torture: setup  ## Kill workers, connections, the database and the broker under 200 imports (ARGS="--runs 20" is quicker)
	$(RUN) -m tests.torture $(ARGS)

soak: setup  ## Do everything at once for 20 minutes while everything breaks (ARGS="--minutes 5" is shorter)
	$(RUN) -W ignore -m tests.torture.soak $(ARGS)

images: setup  ## Pin the images of docker-compose.yml and the Dockerfile by their digests, as their registry says now
	$(RUN) -m tests.images $(ARGS)

fuzz: setup  ## Try the API's calls and files of every format far more often than the tests do and changes interleaved (EXAMPLES=500 says how often)
	FUZZ_EXAMPLES=$(or $(EXAMPLES),100) FUZZ_INTERLEAVINGS=$(or $(INTERLEAVINGS),10000) HYPOTHESIS_PROFILE=thorough \
	  $(RUN) -m pytest tests/test_api_fuzz.py catalog/tests/test_any_feed.py catalog/tests/test_changes_interleaved.py $(ARGS)

bench: setup  ## Measure the import against its floors and its peers
	$(RUN) -m bench.pipeline $(ARGS)

benchpages: setup  ## Measure the admin's pages, and an undo against its apply (ARGS="--items 1000000")
	$(RUN) -W ignore -m bench.pages $(ARGS)

benchapi: setup  ## Measure the API's reading calls under load, beside the same calls written naively
	$(RUN) -W ignore -m bench.api $(ARGS)

benchmachines: setup  ## Stage a feed by two workers on two machines without a common disk, beside one (ARGS="--items 300000"; root)
	$(RUN) -W ignore -m bench.machines $(ARGS)

siege: setup  ## Ask for pages while slow clients, waiting uploads and huge bodies besiege a server (ARGS="http://… --person …")
	$(RUN) -m bench.siege $(ARGS)

backup: setup  ## Keep the database and the stored files (TO=a-new-folder)
	$(RUN) manage.py backup $(or $(TO),backup-$(shell date +%Y-%m-%d-%H%M%S))

restore: setup  ## Bring a backup back, while nothing else runs (FROM=folder; ARGS=--replace loses what is there)
	$(RUN) manage.py restore $(or $(FROM),$(error FROM names the backup)) $(ARGS)

stop: setup  ## Stop PostgreSQL and Valkey, which tests and single commands leave up
	$(RUN) -m devservers stop

reset: setup  ## Stop the servers and delete .local with all data in it (CONFIRM=yes does not ask)
	@test "$(CONFIRM)" = yes || { printf 'Delete .local with the database and everything else in it? [y/N] '; \
	  read answer && test "$$answer" = y; } || { echo; echo 'Nothing was deleted.'; exit 1; }
	$(RUN) -m devservers reset
	test -n "$$EMBEDDED_DIR" || rm -rf .local

clean:  ## Delete what tools leave behind; .venv and .local stay
	rm -rf .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache staticfiles
	find . -path ./$(VENV) -prune -o -path ./.local -prune -o -type d -name __pycache__ -exec rm -rf {} +
