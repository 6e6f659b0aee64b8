# make repro · make test · make torture · make check: each first creates the environment .venv from
# requirements.lock; make bench: .venv-bench, from benchmarks/requirements.lock.
# `make lock` renews the lock files from pyproject.toml.
VENV := .venv
BENCH := .venv-bench
UV := $(or $(shell command -v uv),.uv/bin/uv)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
unexport VIRTUAL_ENV

.PHONY: repro test torture check bench lock
repro: $(VENV)/made
	alexnet doctor --repair
	dvc repro

test: $(VENV)/made
	pytest -n auto --dist loadfile --no-loadscope-reorder

torture: $(VENV)/made  # tests/robustness with large counts: 50 minutes
	FAULT_POINTS=all pytest -s tests/robustness/test_faults.py tests/robustness/test_load.py
	DAMAGE=10500 pytest -s tests/robustness/test_damage.py
	FORGED=3000 pytest -s tests/robustness/test_forged.py
	DAMAGED=9 pytest -s tests/robustness/test_sharing.py
	KILLS=50 pytest -s tests/robustness/test_kills.py
	KILLS=50 pytest -s tests/robustness/test_interrupted.py
	KILLS=100 pytest -s tests/robustness/test_resume.py
	MUTATIONS=100000 pytest -s tests/robustness/test_hostile.py

check: $(VENV)/made
	ruff check
	ruff format --check
	mypy --strict src stages benchmarks experiments
	@echo "$$(find src stages -name "*.py" | xargs cat | wc -l) lines in src and stages"

bench: $(BENCH)/made  # make bench ARGS=--quick
	$(BENCH)/bin/python -m benchmarks $(ARGS)

COMPILE = $(UV) pip compile --universal --python-version 3.11 --upgrade \
	--generate-hashes --no-emit-index-url --no-header --quiet --output-file
lock: $(UV)
	$(COMPILE) requirements.lock pyproject.toml --group dev
	$(COMPILE) benchmarks/requirements.lock pyproject.toml --group bench \
		--constraint requirements.lock --override benchmarks/overrides.txt
	$(COMPILE) benchmarks/ffcv.lock benchmarks/ffcv.in --no-deps

$(VENV)/made: requirements.lock pyproject.toml | $(UV)
	rm -rf $(VENV)
	$(UV) venv --quiet --python ">=3.11" $(VENV)
	$(UV) pip sync --python $(VENV)/bin/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH)/made: benchmarks/requirements.lock benchmarks/ffcv.lock | $(UV)
	rm -rf $(BENCH)
	$(UV) venv --quiet --python ">=3.11" $(BENCH)
	$(UV) pip sync --python $(BENCH)/bin/python --require-hashes benchmarks/requirements.lock
	$(UV) pip install --quiet --python $(BENCH)/bin/python --no-deps --no-build-isolation \
		--require-hashes --requirement benchmarks/ffcv.lock 2>/dev/null \
		|| echo "bench: without FFCV, which could not be built (benchmarks/README.md says what it needs)"
	@touch $@

.uv/bin/uv:
	python3 -m venv .uv || { echo "error: this python3 has no venv; fix: apt install python3-venv" >&2; exit 1; }
	.uv/bin/pip install --quiet --require-hashes --requirement bootstrap.lock
