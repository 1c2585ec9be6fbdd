# The one entry to everything. `make` lists the targets.

VENV ?= .venv
PYTHON ?= python3
STRATA_BUILD ?= opt
export STRATA_BUILD

PY := $(VENV)/bin/python
RUN := PYTHONPATH=src $(PY)
EXTRAS := build test programs bench dev docs smolagents mcp pydantic-ai
STAMP := $(VENV)/.strata-stamp
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help venv build demo test quick check coverage gen bless bench fuzz objects torture litmus fibers kept images heaps snapshots updates packages programs hostile turns docs accept wheel additions versions clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(STAMP) ## create $(VENV) with the pinned tools (not the package itself)
$(STAMP): pyproject.toml tools/constraints.txt tools/deps.py
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m tools.deps $(EXTRAS)
	touch $@

build: venv ## compile the hot modules that changed (STRATA_BUILD=opt|checked|trace)
	@$(PY) -m tools.build

demo: ## from a fresh clone to real programs in a sandbox, installing no more than that takes
	@VENV=$(VENV) $(PYTHON) -m tools.demo

test: build ## run every test
	$(RUN) -m pytest $(ARGS)

quick: build ## run the tests that are not slow
	$(RUN) -m pytest -m "not slow" -x -q $(ARGS)

check: build ## every quality gate
	$(RUN) -m tools.gates $(ARGS)

coverage: venv ## line and branch coverage, hot modules included (trace build)
	$(PY) -m tools.gates coverage

gen: venv ## regenerate the generated files (tools/gen_*.py)
	@STRATA_STALE=defer $(RUN) -m tools.gen

bless: build ## accept the present output as golden, for tests given in ARGS
	STRATA_BLESS=1 $(RUN) -m pytest $(ARGS)

bench: build ## benchmarks; non-zero when a stated threshold fails
	$(RUN) -m tests.bench $(ARGS)

fuzz: ## fuzz the checked build (ARGS="--seconds 60 --seed 1")
	@$(MAKE) build STRATA_BUILD=checked
	$(RUN) -m tests.fuzz $(ARGS)

objects: build ## 20,000 generated modules of objects do the same on another engine (ARGS="--first 1 --plain 15000 --harsh 5000 --log FILE")
	$(RUN) -m tests.objects $(ARGS)

torture: build ## threads, traps, signals, forks, collections (ARGS="--seconds 600 --seed 1")
	$(RUN) -m tests.torture $(ARGS)

litmus: build ## what threads see of each other's writes, a million times each (ARGS="--only coherence")
	$(RUN) -m tests.litmus $(ARGS)

fibers: build ## calls that are suspended and end in every way leave nothing behind (ARGS="--cycles 10000")
	$(RUN) -m tests.fibers $(ARGS)

images: build ## damage images, cut them off, kill who writes them (ARGS="--flips 10000 --kills 200 --seed 1")
	$(RUN) -m tests.images $(ARGS)

kept: build ## long checks of kept code: flipped bits, killed writers, many processes (ARGS="--flips 10000 --kills 200")
	$(RUN) -m tests.kept $(ARGS)

heaps: build ## stores with heaps of objects are made and closed, and nothing is left of them (ARGS="10000")
	$(RUN) -m tests.heaps $(ARGS)

snapshots: build ## clones are what an instance that goes on is, on generated modules (ARGS="--rounds 10000 --seed 1")
	$(RUN) -m tests.snapshots $(ARGS)

updates: build ## updated instances are what fresh ones of the new module are, on pairs of modules (ARGS="--rounds 5000 --seed 1")
	$(RUN) -m tests.updates $(ARGS)

packages: build ## damage packages of plugins, kill who writes a repository, use it at once (ARGS="--mutants 5000 --seed 1")
	$(RUN) -m tests.packages $(ARGS)

programs: build ## 30 programs print in every way what they print on wasmtime (ARGS="sales --ways clone warm")
	$(RUN) -m tests.programs.ways $(ARGS)

hostile: build ## runs of sandboxed Python that end badly leave nothing behind (ARGS="--runs 10000 --seed 1")
	$(RUN) -m tests.hostile $(ARGS)

turns: build ## turns of sandboxed Python are the same in clones of snapshots (ARGS="--rounds 20 --seed 1")
	$(RUN) -m tests.turns $(ARGS)

additions: venv ## make six additions in a copy, build and test them: files, lines, minutes (ARGS="--each ssa-pass")
	$(RUN) -m tools.additions $(ARGS)

versions: venv ## unit tests under every supported CPython found (ARGS="3.12")
	$(PY) -m tools.versions $(ARGS)

docs: build ## build the documentation (strict)
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

accept: build ## regenerate docs/acceptance.md; non-zero if a row marked met no longer holds
	$(RUN) -m tools.accept $(ARGS)

wheel: venv ## a manylinux wheel in dist/ for each CPython found, tried in a fresh environment (ARGS="3.12")
	$(PY) -m tools.wheel $(ARGS)

clean: ## remove what the build made (not $(VENV))
	python3 -m tools.build --clean
	rm -rf dist site htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
