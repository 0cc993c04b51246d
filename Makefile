# Every target sets up what it needs: .venv, the pinned packages and, where it may, Qt's system libraries.
# PYTHON=python3.12 make … chooses the Python that .venv is made with.
# Windows, and macOS without make: see README.md.

VENV_PYTHON := .venv/bin/python
# One thread per process: the tests run in two processes, the machine may have two cores.
TEST_ENV := OMP_NUM_THREADS=1 QT_QPA_PLATFORM=offscreen
PYTEST := $(TEST_ENV) $(VENV_PYTHON) -m pytest -r fEs

.DEFAULT_GOAL := help
.PHONY: help run test test-slow lint screenshots clean setup setup-dev

help:
	@echo "make run          start Geolocator on the demo town (without a display: the same job, headless)"
	@echo "make test         linters and the fast tests (under 15 minutes on two cores)"
	@echo "make test-slow    the remaining tests (under 45 minutes)"
	@echo "make lint         the linters alone"
	@echo "make screenshots  take the screenshots in docs/ again"
	@echo "make clean        delete caches and build results; .venv and workspaces stay"

run: setup
	@$(VENV_PYTHON) main.py

# The tests run even if a linter complains, so that one call shows all that is wrong.
test: setup-dev
	@$(VENV_PYTHON) -m tools.lint; lint=$$?; \
	$(PYTEST) -n 2 --dist loadgroup -m "not slow"; tests=$$?; \
	if [ $$lint -ne 0 ]; then echo "The linters found something: see above, or run 'make lint'."; fi; \
	exit $$((lint || tests))

# pytest ends with 5 when it has no test to run.
test-slow: setup-dev
	@$(PYTEST) -m slow; tests=$$?; \
	if [ $$tests -eq 5 ]; then echo "There are no slow tests."; exit 0; fi; exit $$tests

lint: setup-dev
	@$(VENV_PYTHON) -m tools.lint

screenshots: setup-dev
	@$(VENV_PYTHON) -m tools.screenshots

clean:
	rm -rf build dist demo-result *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

setup:
	@sh tools/setup.sh

setup-dev:
	@sh tools/setup.sh --dev
