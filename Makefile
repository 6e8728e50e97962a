# Needs Python 3.11 or newer and make; everything else is set up from uv.lock on first use.
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never

.PHONY: help setup test test-agent-alone docs site deployment demo rollout-demo lint types floors workflows bench bench-isolation bench-stations bench-activation bench-journal fuzz soak chaos screenshots clean

help:
	@echo "make demo              compile the example fleet and watch eight stations charge (20 s)"
	@echo "make rollout-demo      a good and a bad change go through a fleet of three sites (90 s; nginx, victoria-metrics)"
	@echo "make test              the whole test suite (under 5 minutes)"
	@echo "make test-agent-alone  the agent's tests where the compiler is not installed"
	@echo "make chaos             the agent killed 50 times under load (2 minutes)"
	@echo "make lint              ruff, formatting, import floors, pipelines"
	@echo "make types             mypy, strict"
	@echo "make docs              write the generated parts of docs/ anew"
	@echo "make screenshots       the status page as it is, into docs/screenshots (needs Chromium)"
	@echo "make site              build docs/ as a website into out/site, without network"
	@echo "make deployment        check the container file and the Kubernetes example"
	@echo "make bench             speed, each figure as a ratio in one run"
	@echo "make bench-isolation   what one misbehaving station does to the others (2 minutes)"
	@echo "make bench-stations    a thousand stations, an outage, the return (3 minutes)"
	@echo "make bench-activation  a bundle that takes over on a busy site (1 minute)"
	@echo "make bench-journal     durable transaction events of 200 stations (20 s)"
	@echo "make fuzz              the compiler against files that no person would write (MINUTES=10)"
	@echo "make soak              2,000 stations that come, go and misbehave; every text checked (30 minutes; MINUTES=2)"
	@echo "make clean             remove everything that make made"

# One stamp stands for "the environment is what uv.lock says".
STAMP := .venv/.synced
setup: $(STAMP)
	@:
$(STAMP): uv.lock pyproject.toml schema/pyproject.toml compiler/pyproject.toml agent/pyproject.toml simulator/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Pointsman needs Python 3.11 or newer; there is no $(PYTHON) here. Try: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit("Pointsman needs Python 3.11 or newer; %s is %s. Try: make PYTHON=python3.11 ..." % (sys.executable, sys.version.split()[0]) if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) makes no virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/uv --version 2>/dev/null | grep -qx 'uv $(UV_VERSION).*' || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv sync --frozen --quiet --python $(BIN)/python
	@touch $@

# One worker more than cores, for tests wait for sockets and processes a third of their time; a file stays with its
# worker. Tests start hundreds of processes: bytecode is kept, also where the environment forbids it, and beside the
# sources there is none.
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PYTEST = -m pytest -n $(WORKERS) --dist loadfile
test test-agent-alone chaos: export PYTHONDONTWRITEBYTECODE :=
test test-agent-alone chaos: export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/.bytecode
test: setup
	@$(BIN)/python $(PYTEST)

# A site controller has no compiler: the agent and the ground floor must stand without it.
test-agent-alone: setup
	@UV_PROJECT_ENVIRONMENT=.venv-agent $(BIN)/uv sync --frozen --quiet --package pointsman-agent --group test --python $(BIN)/python
	@! .venv-agent/bin/python -c 'import pointsman_compiler' 2>/dev/null || { echo "the compiler is installed in .venv-agent" >&2; exit 1; }
	@.venv-agent/bin/python $(PYTEST) tests/agent tests/schema

chaos: setup
	@POINTSMAN_CHAOS_KILLS=50 $(BIN)/python -m pytest -q -s tests/agent/test_chaos.py

docs: setup
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m pointsman_compiler.catalogue

# Tools that only the site and these files need have an environment of their own.
SITE_BIN := .venv-site/bin
$(SITE_BIN)/.synced: uv.lock $(STAMP)
	@UV_PROJECT_ENVIRONMENT=.venv-site $(BIN)/uv sync --frozen --quiet --only-group docs --only-group deploy --python $(BIN)/python
	@touch $@

site: $(SITE_BIN)/.synced
	@NO_MKDOCS_2_WARNING=1 $(SITE_BIN)/mkdocs build --strict --quiet

deployment: $(SITE_BIN)/.synced
	@$(SITE_BIN)/hadolint deploy/container/Containerfile
	@$(SITE_BIN)/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml

demo: setup
	@$(BIN)/pointsman-sim demo

# Real parts, from Debian: apt-get install nginx-light victoria-metrics.
rollout-demo: setup
	@$(BIN)/python -m pointsman_simulator.rollout deploy/prometheus/fleet.rules.yaml

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory floors workflows

floors: setup
	@$(BIN)/lint-imports

# Pipelines of this repository and of the ones that `pointsman init` makes. Without network: what is pinned is believed.
STARTER := compiler/pointsman_compiler/starter
workflows: setup
	@$(BIN)/zizmor --offline --quiet --no-progress .github $(STARTER)/github-*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml $(STARTER)/github-*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions .github/actions/*/action.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci $(STARTER)/gitlab-ci.yml

types: setup
	@$(BIN)/mypy

# The peers: node's ws is fetched where npm is, nginx is measured where it is installed (Debian: nginx-light).
YARDSTICKS := benchmarks/yardsticks/node
bench: setup
	@! command -v npm >/dev/null || [ -d $(YARDSTICKS)/node_modules ] || npm ci --prefix $(YARDSTICKS) --ignore-scripts --no-audit --no-fund --silent || echo "npm ci failed: node's ws is left out" >&2
	@$(BIN)/python -m benchmarks

bench-isolation: setup
	@$(BIN)/python -m benchmarks isolation

bench-stations: setup
	@$(BIN)/python -m benchmarks stations

bench-activation: setup
	@$(BIN)/python -m benchmarks activation

bench-journal: setup
	@$(BIN)/python -m benchmarks.journal

MINUTES ?= 10
fuzz: setup
	@PYTHONPATH=tests $(BIN)/python -m support.fuzzing --minutes $(MINUTES)

soak: MINUTES = 30
soak: setup
	@PYTHONPATH=tests $(BIN)/python -m support.soak --minutes $(MINUTES)

screenshots: setup
	@PYTHONPATH=tests $(BIN)/python -m support.screenshots docs/screenshots

clean:
	rm -rf .venv .venv-agent .venv-site build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
