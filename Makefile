# make repro · make test · make check: each first makes the environment, .venv, from
# requirements.lock. `make lock` writes that lock anew from pyproject.toml.
VENV := .venv
UV := $(or $(shell command -v uv),.uv/bin/uv)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
unexport VIRTUAL_ENV

.PHONY: repro test check lock
repro: $(VENV)/made
	dvc repro

test: $(VENV)/made
	pytest

check: $(VENV)/made
	ruff check
	ruff format --check
	mypy --strict src stages
	@echo "$$(cat src/alexnet/*.py stages/*.py | wc -l) lines in src and stages"

lock: $(UV)
	$(UV) pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock

$(VENV)/made: requirements.lock | $(UV)
	rm -rf $(VENV)
	$(UV) venv --quiet --python ">=3.11" $(VENV)
	$(UV) pip sync --python $(VENV)/bin/python --require-hashes requirements.lock
	@touch $@

.uv/bin/uv:
	python3 -m venv .uv || { echo "error: this python3 has no venv; mend: apt install python3-venv" >&2; exit 1; }
	.uv/bin/pip install --quiet --require-hashes --requirement bootstrap.lock
