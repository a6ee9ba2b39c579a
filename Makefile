# `make demo` and `make test` are all a newcomer needs: Python 3.11 and nothing else.
PYTHON ?= python3
BIN := .venv/bin
# torch is pinned in constraints.txt; CI pins all else too: `make test LOCK=.ci/lock.txt`.
LOCK ?=
PIP := $(BIN)/python -m pip install --quiet $(addprefix -c ,constraints.txt $(LOCK))
# What development and the tests need.
FOLDERS := ".[geo,questions,docs,dev]" "./baselines[serve,export]" ./leaderboard ./annotation_tools
# What an installation depends on: the compiled kernel is built by it.
BUILD := pyproject.toml setup.py $(wildcard */pyproject.toml */setup.py) $(wildcard earthreason/masks/*.[ch])

.PHONY: demo test lint types docs dist release-check gpu-rehearsal mutants lock clean

demo: .venv/core.done
	@echo "The demo draws 320 scenes, predicts, scores and draws the answers: about a minute."
	@$(BIN)/earthreason demo
	@echo "These programs are in $(BIN). To use them in this terminal: . $(BIN)/activate"

test: .venv/test.done
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/test.done
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache

types: .venv/test.done
	$(BIN)/mypy

docs: .venv/test.done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir site

# The wheels and sdists of all four distributions, in dist/.
dist: .venv/test.done
	.ci/build dist

# Whether the versions, pins, changelog, citation, pages, cards and the files in dist/ agree.
release-check: .venv/test.done
	$(BIN)/python .ci/release_check.py $(if $(TAG),--tag $(TAG)) $(if $(wildcard dist),--dist dist)

# Every step of the GPU kit at toy size on the CPU, and the page of its results.
gpu-rehearsal: .venv/test.done
	$(BIN)/python -m benchmarks.gpu run --rehearse --minutes 10 --out build/gpu-rehearsal
	$(BIN)/python -m benchmarks.gpu collect build/gpu-rehearsal --page build/gpu-rehearsal/page/gpu.md

# Change one module in many small ways and count which changes the tests notice:
# make mutants MODULE=earthreason/metrics/scores.py
mutants: .venv/test.done
	$(if $(MODULE),,$(error name a module: make mutants MODULE=earthreason/metrics/scores.py))
	OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children 2 "$(subst /,.,$(MODULE:.py=)).*"
	$(BIN)/mutmut results | grep -F "$(subst /,.,$(MODULE:.py=))." || echo "no survivors"

# Write the versions that CI installs, for every Python and platform. Versions that still fit stay as they are; for the
# newest of all: make lock UPGRADE=--upgrade
lock:
	printf '%s\n' $(FOLDERS) ".[croissant]" | .ci/uv pip compile - --quiet --universal --python-version 3.11 $(UPGRADE) \
		--constraints constraints.txt --no-annotate --custom-compile-command "make lock" --output-file .ci/lock.txt \
		$(addprefix --no-emit-package ,torch earthreason earthreason-baselines earthreason-leaderboard earthreason-annotation)

clean:
	rm -rf .venv

.venv/bin/python:
	@echo "Making a virtual environment in .venv ..."
	@$(PYTHON) -m venv .venv

.venv/core.done: $(BUILD) | .venv/bin/python
	@echo "Installing earthreason and what it needs into .venv with pip: a few minutes the first time; it downloads from PyPI."
	@$(PIP) -e .
	@touch $@

# PyPI's build of torch for Linux x86_64 brings gigabytes of CUDA packages; for the CPU build, where pip does not find one
# by itself: make test PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
.venv/test.done: $(BUILD) constraints.txt $(LOCK) | .venv/bin/python
	$(PIP) $(addprefix -e ,$(FOLDERS))
	touch $@ .venv/core.done
