# Every target creates the environment in .venv when it is missing; PYTHON chooses the interpreter (3.10 or newer).
PYTHON ?= python3
BIN := .venv/bin
PROFILE ?= quick
TESTS ?= notebooks tests # what make test runs, a file in one process, two processes side by side, each with one thread
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
# without data and without the network, so that a chapter tests the same on every machine
BARE := env -u LULC_DATA_MIRROR LULC_OFFLINE=1 LULC_DATA_DIR=$(CURDIR)/build/no-data
.DEFAULT_GOAL := help
.PHONY: help book check test weekly lab bench notebooks run student instructor measure colab lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.installed: requirements.lock pyproject.toml
	@echo "Creating the environment in .venv (about 6 GB on Linux, some minutes) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --no-compile --progress-bar on -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@# byte code of all packages at once, on all cores: where Python is told to write none, every start compiles them anew
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib > /dev/null || true # some packages hold templates, which are no Python
	@touch $@

book: .venv/.installed ## build the executed book into _build/html
	$(BIN)/python -m lulc_utils doctor
	PYTHONWARNINGS= $(BIN)/jupyter-book build . -W --keep-going --all
	@echo "Open _build/html/index.html"

check: .venv/.installed ## style, the rules of the house and the quick tests: two minutes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BARE) $(PYTEST) -p no:nbval tests

test: .venv/.installed ## everything but the weekly tests: also slow ones, the chapters and, when built, the book
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BARE) $(PYTEST) -m "not weekly" --nbval-lax --nbval-current-env --nbval-cell-timeout=300 $(TESTS)

weekly: .venv/.installed ## exercises with stub and solution, chapters with other parameters: half an hour
	$(BARE) $(PYTEST) -m weekly tests

lab: .venv/.installed ## open the chapters in JupyterLab
	$(BIN)/jupyter lab notebooks

bench: .venv/.installed ## measure speed ratios, side by side; make bench BENCH=--keep keeps them for the page Performance
	$(BIN)/python scripts/measure/bench/bench.py $(BENCH)

notebooks: .venv/.installed ## run all chapters with papermill: make notebooks PROFILE=quick|full (results in build/)
	$(BIN)/python scripts/tools/run_chapters.py --profile $(PROFILE)

run: notebooks

student: .venv/.installed ## copies of the chapters without solutions, in dist/student
	$(BIN)/python scripts/tools/student.py

instructor: .venv/.installed ## full copies of the chapters, solutions unfolded, in dist/instructor
	$(BIN)/python scripts/tools/student.py --instructor

measure: .venv/.installed ## run the chapters with real data and keep their numbers in book/measured
	$(BIN)/python scripts/tools/run_chapters.py --profile measured --keep-results

colab: .venv/.installed ## rehearse chapter 0 in an environment like Colab's (needs the network, 6 GB for a while)
	$(BIN)/python scripts/tools/colab_rehearsal.py

lock: ## resolve requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate --all-extras --upgrade \
	  pyproject.toml --output-file requirements.lock

clean: ## remove what was built; the environment and downloaded data stay
	rm -rf _build build dist .pytest_cache .ruff_cache
