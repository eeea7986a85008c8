# Two commands are enough: `make run` and `make test`. PYTHON=… chooses another interpreter.
.DEFAULT_GOAL := help
.PHONY: help install run run-pds test check bench lighthouse sim story faults security lock clean

PYTHON ?= python3
PORT ?= 8000
DATA ?= data
SEED ?= 1
BENCHES ?= sweep sale pages
PROCESSES ?= 2
export PYTHON

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

install: ## .venv with everything that tests need
	@tools/install test

run: ## Onym with the demo's outside world, until Ctrl-C
	@tools/install run
	@exec .venv/bin/onym up --demo --port $(PORT) --data $(DATA)

run-pds: ## the same on a real Bluesky PDS (compiles SQLite's binding at first)
	@tools/install run
	@tools/pds/install
	@exec .venv/bin/onym up --demo --platform pds --port $(PORT) --data $(DATA)

test: install ## the whole test suite
	@tools/system-packages
	@tools/pds/install || true # the tests concerned then fail
	@.venv/bin/pytest -n $(PROCESSES) --dist loadfile

check: install ## format, lint, types, imports, house rules, and that every test is found
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	@found=$$(.venv/bin/pytest --collect-only -qq -p no:cacheprovider) || { echo "$$found"; exit 1; }
	.venv/bin/pytest tests/docs/test_house_rules.py

bench: install ## measurements, as ratios
	@for name in $(BENCHES); do .venv/bin/onym bench $$name || exit 1; done

lighthouse: install ## four pages of a demo under Lighthouse (needs Node and Chromium)
	@.venv/bin/python tools/lighthouse/measure.py $(ARGUMENTS)

sim: install ## seeded days of a market, audited
	.venv/bin/onym sim --seed $(SEED)

faults: install ## kill -9 at every step, and the seeded bugs that must be caught
	@tools/pds/install || true
	.venv/bin/pytest -m faults

story: install ## the whole story in a browser: three languages, phone and desk
	@tools/system-packages
	.venv/bin/pytest tests/story -m "long or not long"

security: install ## the source under bandit, the tracked files searched for secrets
	.venv/bin/bandit -q -ll -c pyproject.toml -r src
	.venv/bin/pytest tests/docs/test_house_rules.py -k secret

lock: ## write the hashed requirements anew (needs uv)
	for name in build base test spark node; do \
	    uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-strip-extras \
	        --python-version 3.11 requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

clean: ## forget what was installed; DATA stays
	rm -rf .venv build src/*.egg-info
