# `make demo` and `make test` are all a newcomer needs: Python 3.11 and nothing else.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet

.PHONY: demo test lint types docs clean

demo: .venv/core.done
	$(BIN)/earthreason demo

test: .venv/test.done
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/test.done
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/test.done
	$(BIN)/mypy

docs: .venv/test.done
	$(PIP) -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir site

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/core.done: pyproject.toml | .venv/bin/python
	$(PIP) -e .
	touch $@

# The CPU build of torch is pinned here only: a plain `torch` brings gigabytes of CUDA packages.
.venv/test.done: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -c constraints.txt -e ".[baselines,leaderboard,annotation,dev]"
	touch $@ .venv/core.done
