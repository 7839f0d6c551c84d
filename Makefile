# make demo and make test are all that a fresh machine needs: Python >= 3.11 with venv, and make.
PYTHON ?= python3
# More words for pytest: make test ARGS="-k diff"
ARGS ?=
VENV := .venv
# A peer of make bench, apart from the packages of this project.
ANSIBLE := .venv-ansible
BIN := $(VENV)/bin
# What a test run recorded of the snippets; the next one begins anew.
RECORDED := .coverage-ps
# A third worker: a quarter of the time of a test run is waiting for other processes.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
# What make check runs: a part of tests/lab, and of tests/powershell the cases.
QUICK := tests/unit tests/cli tests/compatibility tests/powershell/test_cases.py tests/lab/test_replay.py tests/lab/test_command_line.py tests/lab/test_budget.py tests/lab/test_folder.py
REPORT := $(BIN)/python -m tools.snippets.report $(RECORDED)
GENERATE := $(BIN)/python -m tools.docs.generate

.DEFAULT_GOAL := test
.PHONY: test test-windows check demo lint coverage-ps docs check-docs presets acceptance faults bench bundle clean

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing or older than Python 3.11; name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

test: $(VENV)/.ready
	rm -rf $(RECORDED)
	LYNCARR_COVERAGE=$(RECORDED) $(PYTEST) --durations=20 $(ARGS)

# The quick loop, within two minutes: it records no coverage and starts no Wine.
check: lint
	env -u LYNCARR_COVERAGE $(PYTEST) $(QUICK) $(ARGS)

# The client on a Windows Python (Wine), which tools/windows_python builds and keeps in the user's cache folder.
# make test-windows ARGS="tests/unit/test_waiting.py -x"; make test-windows ARGS=--build only builds it.
test-windows: $(VENV)/.ready
	$(BIN)/python -m tools.windows_python $(ARGS)

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32

demo: $(VENV)/.ready
	$(BIN)/python -m lyncarr.lab.demo

# Which lines of the snippets a real PowerShell runs in the tests.
coverage-ps: $(VENV)/.ready
	rm -rf $(RECORDED)
	LYNCARR_COVERAGE=$(RECORDED) $(PYTEST) tests/powershell tests/windows/test_platform.py tests/windows/test_platform_bootstrap.py; tested=$$?; $(REPORT) && exit $$tested

# The generated parts of the pages: from the code, and in docs/what-is-proved.md from the recordings of make test or make coverage-ps.
docs: $(VENV)/.ready
	$(GENERATE) --write
	$(REPORT) --write

check-docs: $(VENV)/.ready
	$(GENERATE) --check
	$(REPORT) --check

# The presets of the replay lab, from the real engine.
presets: $(VENV)/.ready
	LYNCARR_RECORD_PRESETS=1 $(BIN)/python -m pytest tests/windows/test_presets.py

# On a real Windows server that may be lost: make acceptance HOST=rp01 SITE=lyncarr.toml
# HOST from the command line only: some shells export a variable of that name, which is this machine.
SITE ?= lyncarr.toml
acceptance: $(VENV)/.ready
	@$(BIN)/python -m tools.acceptance --site '$(SITE)' $(if $(filter command%,$(origin HOST)),'$(HOST)')

# What becomes of a run whose connection breaks, or whose controller ends, at each of its messages: a table. With Wine it takes
# the best part of two hours; make faults ARGS="--engine replay --transport winrs" takes three minutes.
faults: $(VENV)/.ready
	$(BIN)/python -m tools.faults $(ARGS)

# lyncarr beside its peers on one simulated host, within a quarter of an hour on a quiet machine: see docs/benchmarks.md.
# Ansible is left out where it cannot be installed. make bench ARGS=--write puts the result into docs/.
bench: $(VENV)/.ready
	-@$(MAKE) --no-print-directory $(ANSIBLE)/.ready
	$(BIN)/python -m benchmarks.converge $(ARGS)

$(ANSIBLE)/.ready:
	$(PYTHON) -m venv $(ANSIBLE)
	$(ANSIBLE)/bin/python -m pip install --quiet --disable-pip-version-check ansible-core 'pypsrp>=0.9.1,<0.10'
	touch $@

# A zip file for Windows machines without internet access: dist/lyncarr-VERSION-windows.zip
bundle: $(VENV)/.ready
	$(BIN)/python -m tools.bundle $(ARGS)

clean:
	rm -rf $(VENV) $(ANSIBLE) $(RECORDED) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis lab-site dist
