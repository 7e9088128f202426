# Everything a person types. Each target sets up what it needs; a second run reinstalls nothing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
WORKERS ?= 2

# Compiled modules are kept: tests and proofs start hundreds of processes, which would compile all of them each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check lint types imports bench lock clean proofs

run: $(VENV)/run.stamp
	$(BIN)/tidegate run $(ARGS)

# Two tests at a time: most of them wait for a clock or a socket.
test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: lint types imports test

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

imports: $(VENV)/dev.stamp
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.bench $(ARGS)

# Long proofs, each by itself; every one prints its figures as JSON and fails when a promise is broken.
proof-%: $(VENV)/dev.stamp
	$(BIN)/python -m tests.proofs.$(subst -,_,$*) $(ARGS)

proofs: proof-power-loss proof-sigkill proof-ambiguity proof-event-order proof-network proof-clock proof-inferred-fills proof-session proof-four-venues proof-containment proof-kill proof-dead-man proof-fuzz proof-losses

# Re-resolve both lock files; hashes in, addresses out.
lock: $(VENV)/dev.stamp
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
		--python-version 3.11 --extra build pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
		--python-version 3.11 --extra build --extra dev --constraints requirements.lock \
		pyproject.toml --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tidegate needs Python 3.11 or newer; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# setuptools comes from the hashed lock, so building the package fetches nothing.
$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
