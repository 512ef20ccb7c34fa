# What a person types. Anything longer than a line or two lives in deploy/setup/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

bin := .venv/bin
pytest := $(bin)/python -m pytest

.PHONY: help setup setup-dev demo test lint test-unit test-slow lock docs bench bench-eqtl clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv with the pinned packages and .venv/bin/kgp (once; then instant)
	@deploy/setup/java.sh
	@deploy/setup/venv.sh

demo: setup ## the whole pipeline on the bundled real slice: tables in ./demo-lake, exports in ./demo-out
	@$(bin)/kgp demo --lake ./demo-lake --out ./demo-out

test: lint test-unit ## everything that must hold (about 17 minutes on 2 cores)

test-slow: setup-dev ## what takes longer: a real cluster, calibration, other Spark lines
	@status=0; $(pytest) -m "slow and not network" || status=$$?; \
	if [ $$status -eq 5 ]; then echo "there are no slow tests yet"; elif [ $$status -ne 0 ]; then exit $$status; fi

lint: setup-dev ## ruff, mypy --strict, the import layers, and whether docs/TABLES.md is up to date
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports --no-logo
	$(bin)/python -m kgp.tabledocs --check docs/TABLES.md

lock: ## write the lock files anew from pyproject.toml (needs uv)
	@deploy/setup/lock.sh

docs: setup ## write docs/TABLES.md, the table dictionary, from the declarations in lib/kgp/tables
	@$(bin)/python -m kgp.tabledocs docs/TABLES.md

bench: setup-dev ## how fast VCFs and matrices are loaded, a mirror kept, eQTLs mapped: docs/BENCHMARKS.md (45 minutes)
	@$(bin)/python tests/benchmarks/bench.py --out docs $(BENCH)
	@$(bin)/python tests/benchmarks/mirror.py --out docs
	@$(bin)/python tests/benchmarks/expression.py --out docs
	@$(MAKE) bench-eqtl

bench-eqtl: setup-dev ## of these, how fast matrices are made and eQTLs mapped: docs/benchmarks/eqtl.md (15 minutes)
	@$(bin)/python tests/benchmarks/mapping.py --out docs
	@$(bin)/python tests/benchmarks/matrices.py --out docs
	@$(bin)/python tests/benchmarks/subset.py --out docs

clean: ## remove what the other targets made, but not .venv
	rm -rf demo-lake demo-out build dist spark-warehouse metastore_db derby.log htmlcov .coverage
	rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find lib jobs tests deploy -name __pycache__ -type d -prune -exec rm -rf {} +

setup-dev:
	@deploy/setup/java.sh
	@deploy/setup/venv.sh dev
	@deploy/setup/test-tools.sh

test-unit: setup-dev
	$(pytest) --doctest-modules lib/kgp
	$(pytest) -n 2 --dist loadfile -m "not slow and not network" --durations 15
