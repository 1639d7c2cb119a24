# Every target sets up what it needs: Python 3.11 or newer, make and a package index are enough.
#
# PyTorch is its CPU build, from PyTorch's own index or the mirror in the variable TORCH_INDEX (deploy/install-torch.sh).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
TOOLS := .tools
TYPESCRIPT := 7.0.2
TSC := $(TOOLS)/typescript-$(TYPESCRIPT)/node_modules/.bin/tsc
OPENAPI_TYPESCRIPT := 7.13.0
OPENAPI_TSC := $(TOOLS)/openapi-typescript-$(OPENAPI_TYPESCRIPT)/node_modules/.bin/openapi-typescript
NPM := $(shell command -v npm 2>/dev/null)
NPM_INSTALL := npm install --silent --no-audit --no-fund --ignore-scripts --prefix
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
SOURCES := src tests training benchmarks examples
MARKDOWN := $(wildcard *.md .github/*.md deploy/*.md docs/*.md training/*.md src/depthsvc/model/data/*.md)
# Chinese has no spaces at which lines could be wrapped.
WRAPPED := $(filter-out %.zh-CN.md,$(MARKDOWN))
UNWRAPPED := $(filter %.zh-CN.md,$(MARKDOWN))
MDFORMAT := $(BIN)/mdformat --compact-tables --number

.DEFAULT_GOAL := help
.PHONY: help run test zoo cluster image chaos soak lint lint-format lint-style lint-types lint-markdown lint-page format bench dist clean

help:
	@echo "make run     start the service and print its address (options: make run PORT=8000 ARGS='--workers 1')"
	@echo "make test    run the test suite"
	@echo "make zoo     test that the large networks are exactly the official ones (5 minutes)"
	@echo "make cluster test the service and the batch on a Ray cluster of this machine (3 minutes)"
	@echo "make image   build the image with Docker, Podman or buildah, run it and test it (IMAGE_OPTIONS='--build-arg ...')"
	@echo "make chaos   kill, flood, drain and fuzz the service for about 15 minutes"
	@echo "make soak    send it 7,000 photos and see whether anything piles up"
	@echo "make lint    check style and types"
	@echo "make format  rewrite the sources and documents in the project's style"
	@echo "make bench   measure the service beside its alternatives for about 40 minutes (3: make bench ARGS=--quick)"
	@echo "make dist    build what a release publishes, check it and try it"

run: $(VENV)/.run
	@$(BIN)/depthsvc serve $(if $(PORT),--port $(PORT)) $(ARGS)

# With npm, the tests also generate TypeScript types from the OpenAPI document.
test: $(VENV)/.dev $(if $(NPM),$(OPENAPI_TSC))
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --timeout 300 $(ARGS)

zoo: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/model -m zoo $(ARGS)

cluster: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/cluster -m ray $(ARGS)

image: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/deploy -s -m image $(ARGS)

chaos: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/security -s -m long -k "not piles_up" $(ARGS)

soak: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/security -s -m long -k piles_up $(ARGS)

# Each is a hook of .pre-commit-config.yaml as well.
lint: lint-format lint-style lint-types lint-markdown lint-page

lint-format: $(VENV)/.dev
	$(BIN)/ruff format --check $(SOURCES)

lint-style: $(VENV)/.dev
	$(BIN)/ruff check $(SOURCES)

lint-types: $(VENV)/.dev
	$(BIN)/mypy

lint-markdown: $(VENV)/.dev
	$(MDFORMAT) --check --wrap 120 $(WRAPPED)
	$(MDFORMAT) --check --wrap keep $(UNWRAPPED)

# The page's JSDoc types, as jsconfig.json says.
ifeq ($(NPM),)
lint-page:
	@echo "npm is not installed: the page's types are not checked."
else
lint-page: $(TSC)
	$(TSC) -p jsconfig.json
endif

format: $(VENV)/.dev
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)
	$(MDFORMAT) --wrap 120 $(WRAPPED)
	$(MDFORMAT) --wrap keep $(UNWRAPPED)

bench: $(VENV)/.dev $(BENCH_VENV)/.ready
	@$(BIN)/python -m benchmarks $(ARGS)

dist: $(VENV)/.release
	@.ci/dist

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(TOOLS) dist sbom

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "depthsvc needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing depthsvc into $(VENV) (once; PyTorch is large) ..."
	@deploy/install-torch.sh $(BIN)/python -m pip
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing depthsvc and its development tools into $(VENV) (once; PyTorch is large) ..."
	@deploy/install-torch.sh $(BIN)/python -m pip
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.run

$(VENV)/.release: $(VENV)/.dev
	@$(PIP_INSTALL) -e '.[dev,release]'
	@touch $@

$(TSC):
	@echo "Installing TypeScript $(TYPESCRIPT) into $(TOOLS) (once) ..."
	@$(NPM_INSTALL) $(TOOLS)/typescript-$(TYPESCRIPT) typescript@$(TYPESCRIPT)

$(OPENAPI_TSC):
	@echo "Installing openapi-typescript $(OPENAPI_TYPESCRIPT) into $(TOOLS) (once) ..."
	@$(NPM_INSTALL) $(TOOLS)/openapi-typescript-$(OPENAPI_TYPESCRIPT) openapi-typescript@$(OPENAPI_TYPESCRIPT) || \
		echo "openapi-typescript cannot be installed: its test will be skipped."

# Without them, depthsvc is measured alone.
$(BENCH_VENV)/.ready: benchmarks/alternatives/requirements.txt | $(BIN)/python
	@echo "Installing the alternatives into $(BENCH_VENV) (once; PyTorch is large) ..."
	@$(PYTHON) -m venv $(BENCH_VENV) && \
		deploy/install-torch.sh $(BENCH_VENV)/bin/python -m pip && \
		$(BENCH_VENV)/bin/python -m pip install --disable-pip-version-check -q -r benchmarks/alternatives/requirements.txt && \
		touch $@ || { rm -rf $(BENCH_VENV); echo "The alternatives cannot be installed."; }
