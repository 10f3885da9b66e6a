# Everything here runs in .venv, which is made on first use and kept up to date (tools/setup_env.py).
# make PYTHON=/path/to/python3.12 ... chooses the Python that it is made with.
# make lab ARGS=--allow-root, make test ARGS="-k ledger", ...: ARGS goes to the command that the target runs.

.DEFAULT_GOAL := help
.PHONY: help setup book pdf check-book lighthouse test test-fast mutants fuzz bench bench-grader lint lab release weights formulas lock clean

PY := .venv/bin/python
export PYTHON

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

book: setup ## Build the book into _build/html
	@$(PY) tools/build_book.py $(ARGS)

pdf: book ## Print the whole book into one PDF, with Chromium (a minute or two)
	@$(PY) tools/make_pdf.py $(ARGS)

check-book: book ## Look at every page of the book in a browser: access, weight, jumps (minutes, not in CI)
	@$(PY) tools/check_book.py $(ARGS)

lighthouse: book ## Run Lighthouse on every page (about an hour; fetches it from npm on first use)
	@$(PY) tools/lighthouse.py $(ARGS)

test: setup ## Run every check and every test, as CI does
	@if [ "$${CI:-}" = true ]; then sh tools/setup_system.sh; fi
	@$(MAKE) --no-print-directory lint
	@if [ "$${CI:-}" = true ] && [ -z "$(ARGS)" ]; then $(PY) tools/run_tests.py; else $(PY) -m pytest $(ARGS); fi

test-fast: setup ## Run the tests that are not marked slow
	@$(PY) -m pytest -m "not slow" $(ARGS)

mutants: setup ## Give the checks every wrong answer, and record the kill rate for the book (minutes)
	@RECORD_KILL_RATE=1 $(PY) -m pytest tests/notebooks/test_mutants.py -k "loses_its_points or earns_its_points"

fuzz: setup ## Read 10,000 notebooks broken in every way, and kill the grader 20 times
	@FUZZ_CASES=10000 KILLS=20 $(PY) -m pytest tests/autograder/test_fuzz.py tests/autograder/test_killed.py $(ARGS)

bench: setup ## Time the models beside plain PyTorch and diffusers, interleaved, and write the book's tables
	@$(PY) -m benchmarks.speed $(ARGS)

bench-grader: setup ## Time the grader against plain nbgrader, interleaved
	@$(PY) -m benchmarks.grader $(ARGS)

lint: setup ## Check style, formatting and types
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy

lab: setup ## Open JupyterLab on the students' notebooks
	@$(PY) -m jupyter lab notebooks $(ARGS)

release: setup ## Make notebooks/ from solutions/
	@$(PY) -m autograder release $(ARGS)

weights: setup ## Train the models that the package ships anew, and what the book's figures take from them
	@$(PY) tools/train_weights.py $(ARGS)
	@$(PY) tools/live_weights.py
	@$(PY) tools/live_replay.py
	@$(PY) tools/stills.py

formulas: setup ## Confirm changed formulas, after reading the tests that claim them
	@$(PY) tools/formulas.py

lock: setup ## Resolve the requirements anew and rewrite requirements.lock
	@$(PY) tools/lock.py

setup: ## Make or refresh .venv, and nothing else
	@tools/setup_env.sh

clean: ## Remove what was built; .venv stays (rm -rf .venv starts that anew)
	@rm -rf _build build .pytest_cache .ruff_cache .mypy_cache .hypothesis lib/*.egg-info
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
