# Chaperone. `make run` serves a demo school, `make test` proves the rules; both set up what they need.
# Needs only make and Python 3.11 or newer; on Debian, tests install Chromium, Firefox ESR and Janus if missing.
PYTHON ?= python3
UV := .tools/uv/bin/uv
PY := .venv/bin/python
WORKERS ?= 2
export PATH := $(CURDIR)/.tools/node/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench prove lock browsers clean

help: ## Explain every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/app node_modules/.done ## Serve a demo school at http://localhost:8000 and print sign-in links
	$(PY) -m service dev

setup: .venv/dev node_modules/.done ## Install everything that running, checking and testing need

test: setup browsers ## Run every test, browser tests included
	$(PY) -m pytest -n $(WORKERS)

check: setup ## Lint, check types and the direction of imports
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache

bench: setup ## Measure the hot paths against a named peer; prints ratios
	$(PY) -m tests.bench

prove: setup browsers ## Run the long proofs at full size
	CHAPERONE_PROOF=full $(PY) -m pytest -n $(WORKERS) -m proof

lock: $(UV) ## Pin every dependency again, with hashes and without registry addresses
	$(UV) pip compile -q --upgrade --generate-hashes --no-header --no-emit-index-url --universal --python-version 3.11 pyproject.toml -o requirements/app.txt
	$(UV) pip compile -q --generate-hashes --no-header --no-emit-index-url --universal --python-version 3.11 -c requirements/app.txt pyproject.toml --group dev -o requirements/dev.txt
	$(UV) pip compile -q --upgrade --generate-hashes --no-header --no-emit-index-url --universal --python-version 3.11 --group node -o requirements/node.txt
	npm install --package-lock-only

clean: ## Remove what setting up made (not your data in var/)
	rm -rf .venv .tools node_modules service/static/vendor

$(UV):
	$(PYTHON) -c 'import sys; sys.exit("Chaperone needs Python 3.11 or newer; set PYTHON=path") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .tools/uv
	.tools/uv/bin/pip install -q --disable-pip-version-check uv==0.13.9

.venv/app: requirements/app.txt | $(UV)
	test -x $(PY) || $(UV) venv -q --python $(PYTHON) .venv
	$(UV) pip install -q --require-hashes --python $(PY) -r requirements/app.txt
	touch $@

.venv/dev: requirements/dev.txt | $(UV)
	test -x $(PY) || $(UV) venv -q --python $(PYTHON) .venv
	$(UV) pip sync -q --require-hashes --python $(PY) requirements/dev.txt
	touch $@ .venv/app

# npm comes with the machine's Node, or from PyPI's Node wheel.
node_modules/.done: package.json package-lock.json service/static/chaperone.scss | $(UV)
	command -v npm >/dev/null || { $(UV) venv -q --python $(PYTHON) .tools/node && \
	  $(UV) pip install -q --require-hashes --python .tools/node/bin/python -r requirements/node.txt; }
	npm ci --silent --ignore-scripts
	.tools/../node_modules/.bin/sass --quiet-deps --no-source-map --style=compressed --load-path=node_modules service/static/chaperone.scss service/static/vendor/chaperone.css
	cp node_modules/govuk-frontend/dist/govuk/govuk-frontend.min.js node_modules/jsqr/dist/jsQR.js service/static/vendor/
	touch $@

browsers: ## Install the browsers and servers that tests drive (Debian; elsewhere set CHROMIUM=path)
	@sh tests/browsers.sh
