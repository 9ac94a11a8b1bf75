# Everything a contributor or CI runs. `make` alone lists the targets.
#
# Only Python 3.11+ (and, for the cluster, a network to the package registries) is needed before: the
# virtual environment and the test control plane are made on first use and kept until their inputs change.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The first Python that is 3.11 or later and starts at all (a version manager's shim may not).
PYTHON3 := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
LOCALKUBE = $(PYTHON3) -m tests.localkube
LOCALNODE = $(PYTHON3) -m tests.localnode
PYTEST_ARGS ?=

SANDBOX_LISTEN ?= 127.0.0.1:8500
SANDBOX_STATE ?= build/sandbox.sqlite
SANDBOX_ARGS ?=

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  %-18s %s\n' "$$name" "$$text"; done

.PHONY: venv
venv: $(INSTALLED) ## Make .venv with the locked dependencies

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON3)" || { echo "Python 3.11 or later is needed and none was found on PATH" >&2; exit 1; }
	@$(PYTHON3) -c 'import venv, ensurepip' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; \
		else echo "$(PYTHON3) lacks the venv module: install it (on Debian: python3-venv)" >&2; exit 1; fi; }
	@test -x $(PYTHON) && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || $(PYTHON3) -m venv --clear $(VENV)
	$(PYTHON) -m pip install --quiet --require-hashes -r requirements.lock
	$(PYTHON) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: check
check: venv ## Lint, format, types, layers, and generated files (what CI runs first)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/makini-operator crds --check

.PHONY: format
format: venv ## Format, and fix what the linter can fix
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .

.PHONY: test
test: venv localkube helm node-if-possible ## All tests, on TEST_WORKERS processors or all; the first run builds the control plane (up to 6 minutes), helm (3), the node (4)
	@while IFS= read -r setting; do export "$$setting"; done < <(PYTHON3=$(PYTHON3) tests/kind/instead.sh); \
	$(PYTHON) -m pytest -n auto $(PYTEST_ARGS)

# Without a node the tests that need one run on kind if there is a container engine; else they are skipped, and say so.
.PHONY: node-if-possible
node-if-possible:
	@if [ -z "$${MAKINI_NODE_KUBECONFIG:-}" ] && [ "$${MAKINI_SKIP_NODE:-}" != 1 ] && $(LOCALNODE) check; then \
		$(LOCALNODE) build; fi

.PHONY: localkube
localkube: ## Build the test control plane (cached)
	@$(LOCALKUBE) build

.PHONY: helm
helm: venv ## Build the helm that tests the chart (cached)
	@$(PYTHON) -m tests.tools.helm

.PHONY: cluster-up
cluster-up: ## Start a local control plane and print KUBECONFIG=...
	@$(LOCALKUBE) up

.PHONY: cluster-down
cluster-down: ## Stop it; nothing of it is left
	@$(LOCALKUBE) down

.PHONY: node-up
node-up: ## Start a local node that runs pods, and print KUBECONFIG=... (Linux, root, cgroups of version 1)
	@$(LOCALNODE) up

.PHONY: node-down
node-down: ## Stop it; nothing of it is left
	@$(LOCALNODE) down

.PHONY: node-images
node-images: venv ## Build the images (operator, sandbox, sync) without a container engine; into the node if it is up
	@$(PYTHON) -m tests.images build --output build
	@if $(LOCALNODE) status >/dev/null; then \
		for name in operator sync; do $(LOCALNODE) load build/makini-$$name.tar; done; fi

.PHONY: kind-up
kind-up: ## Start a kind cluster with the images in it (needs Docker, kind and kubectl; CI here cannot run it)
	@tests/kind/up.sh

.PHONY: kind-down
kind-down: ## Delete the kind cluster
	@kind delete cluster --name "$${MAKINI_KIND_NAME:-makini}" && rm -f build/kind.kubeconfig

.PHONY: demo
demo: venv localkube ## Show the operator at work: with pods on a node or on kind; else, or with MAKINI_DEMO=api, only its API
	@if [ "$${MAKINI_DEMO:-}" != api ]; then \
		while IFS= read -r setting; do export "$$setting"; done < <(PYTHON3=$(PYTHON3) tests/kind/instead.sh); fi; \
	$(PYTHON) -m tests.demo

.PHONY: sandbox
sandbox: venv ## Run the embedded Makini on SANDBOX_LISTEN; more switches in SANDBOX_ARGS
	@mkdir -p $(dir $(SANDBOX_STATE))
	@if [ -z "$${MAKINI_SANDBOX_CLIENT_ID:-}" ] || [ -z "$${MAKINI_SANDBOX_CLIENT_SECRET:-}" ]; then \
		export MAKINI_SANDBOX_CLIENT_ID="sandbox-$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(4))')"; \
		export MAKINI_SANDBOX_CLIENT_SECRET="$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(24))')"; \
		echo "MAKINI_SANDBOX_CLIENT_ID=$$MAKINI_SANDBOX_CLIENT_ID"; \
		echo "MAKINI_SANDBOX_CLIENT_SECRET=$$MAKINI_SANDBOX_CLIENT_SECRET"; \
	fi; \
	exec $(VENV)/bin/makini-operator sandbox --listen $(SANDBOX_LISTEN) --state $(SANDBOX_STATE) $(SANDBOX_ARGS)

.PHONY: lock
lock: ## Make requirements.lock anew from pyproject.toml, and from it the parts that are in the images
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && $(PYTHON3) -m venv "$$tools" && \
		"$$tools/bin/pip" install --quiet uv && \
		compile() { "$$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-header "$$@"; } && \
		compile --all-extras pyproject.toml -o requirements.lock && \
		compile --no-annotate --constraints requirements.lock pyproject.toml -o requirements-operator.lock && \
		$(PYTHON3) -m tests.images needs | \
			compile --no-annotate --constraints requirements.lock - -o requirements-sync.lock

.PHONY: clean
clean: cluster-down node-down ## Stop the control plane and the node; remove .venv, build output and tool caches
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

EXPLORE_STATES ?= 200000
EXPLORE_EXAMPLES ?= 2000

.PHONY: explore
explore: venv ## Explore the ledger's protocol and its code for long (EXPLORE_STATES for each scenario, EXPLORE_EXAMPLES)
	@$(PYTHON) -u -m tests.model.explore --states $(EXPLORE_STATES)
	@$(PYTHON) -u -m tests.unit.exploration.explore --examples $(EXPLORE_EXAMPLES)

BENCH_ARGS ?=

.PHONY: bench
bench: venv localkube ## Measure speed, memory and writes (docs/performance.md); BENCH_ARGS="--connections 200" for a short run
	@$(PYTHON) -m tests.bench $(BENCH_ARGS)

.PHONY: test-integrations
test-integrations: venv localkube ## Test against real peers (tests/integrations/README.md); the first run builds them (about 15 minutes)
	@MAKINI_INTEGRATIONS=1 $(PYTHON) -m pytest tests/integrations $(PYTEST_ARGS)
