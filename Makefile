# Chaperone. `make run` serves a demo school, `make test` proves the rules; both set up what they need.
# Needs only make and Python 3.11 or newer; as root on Debian, tests install the browsers that they drive.
PYTHON ?= python3
WORKERS ?= 2
UV := .tools/uv/bin/uv
PY := .venv/bin/python

# Where the network inspects TLS, as school networks do, the certificates that the machine trusts are the right ones.
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt)
ifneq ($(CERTIFICATES),)
export UV_SYSTEM_CERTS ?= true
export PIP_CERT ?= $(CERTIFICATES)
export NODE_EXTRA_CA_CERTS ?= $(CERTIFICATES)
endif

# Every start reads compiled modules, also where somebody told Python to keep none: 4 s of processor time each.
export PYTHONDONTWRITEBYTECODE :=

# A stamp carries the checksum of its lock, so that neither a checkout nor a switch of branches installs anything twice.
sum = $(shell cat $(1) | cksum | cut -d ' ' -f 1)
APP := .venv/app-$(call sum,requirements/app.txt)
DEV := .venv/dev-$(call sum,requirements/dev.txt)
S3 := .tools/s3/done-$(call sum,requirements/s3.txt)
COMMAND := .venv/bin/chaperone
NODE := node_modules/.done-$(call sum,package-lock.json)
SHEETS := $(wildcard */static/[!_]*.scss)
PAGES := service/static/vendor/.done
PHONE := mobile_api/pwa/static/vendor/idb
# The machine's Node, unless requirements/node.sh found it missing or too old and put one here.
WITH_NODE := PATH="$(CURDIR)/.tools/node/bin:$$PATH"
# One set-up at a time, also when `make run` and `make test` start together. An environment whose Python went is no environment.
ALONE = mkdir -p .tools; test -x $(PY) || rm -rf .venv; $(if $(shell command -v flock),flock .tools/lock) $(MAKE) -s --no-print-directory

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run run-calls test check bench prove setup app install-app install-dev lock browsers clean

help: ## Explain every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: app ## Serve a demo school at http://localhost:8000 and print sign-in links
	$(PY) -m service dev

run-calls: setup ## Serve a demo school that can telephone: a trunk and a family's telephone on this machine
	@sh tests/browsers.sh calls
	$(PY) -m tests.run_calls

test: setup browsers ## Run every test, browser tests included
	$(PY) -m pytest -n $(WORKERS) || $(ONCE_MORE)

# Real browsers can starve beside each other on two cores. What failed is tried once more, alone; what is broken fails again.
ONCE_MORE = { echo "Trying what failed once more, alone:"; $(PY) -m pytest --last-failed --last-failed-no-failures none; }

check: setup ## Lint, check types, and the direction of imports
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache
	$(WITH_NODE) node_modules/.bin/tsc -p tsconfig.json --noEmit

bench: setup ## Measure the hot paths, beside Janus where it is installed; prints ratios
	$(PY) -m tests.bench

# One test at a time to each worker, so that none waits behind the hour of T9.
prove: setup browsers ## Run the long proofs at full size (some hours); each part prints what it covered
	$(PY) -m tests.room.explore
	$(PY) -m tests.mutants
	CHAPERONE_PROOF=full $(PY) -m pytest -n $(WORKERS) --maxschedchunk 1 -m proof

setup: ## Install everything that running, checking and testing need
	+@$(ALONE) install-dev

app: ## Install only what serving needs
	+@$(ALONE) install-app

install-app: $(APP) $(PAGES) $(COMMAND)
install-dev: $(DEV) $(PAGES) $(S3) $(COMMAND)

browsers: ## Install the browsers and telephones that tests drive (Debian as root; elsewhere set CHROMIUM=path)
	@sh tests/browsers.sh

lock: $(UV) ## Pin every dependency again, with hashes and without registry addresses
	$(PIN) --upgrade pyproject.toml -o requirements/app.txt
	$(PIN) -c requirements/app.txt pyproject.toml --group dev -o requirements/dev.txt
	$(PIN) --upgrade --group node -o requirements/node.txt
	$(PIN) --upgrade --group s3 -o requirements/s3.txt
	$(PIN) --upgrade --group uv -o requirements/uv.txt
	$(WITH_NODE) npm install --package-lock-only --ignore-scripts

PIN := $(UV) pip compile -q --generate-hashes --no-header --no-emit-index-url --universal --python-version 3.11

clean: ## Remove what setting up made (never your school's data)
	rm -rf .venv .tools node_modules */static/vendor */*/static/vendor

$(UV): requirements/uv.txt
	@echo "Fetching uv…"
	@sh requirements/uv.sh "$(PYTHON)"
	@touch $@

$(PY): | $(UV)
	@$(UV) venv -q --clear --python "$(PYTHON)" .venv

$(COMMAND): | $(PY)
	@ln -sf ../../requirements/chaperone $@

$(APP): | $(UV) $(PY)
	@echo "Installing Python packages…"
	@$(UV) pip install -q --require-hashes --no-build --python $(PY) -r requirements/app.txt
	@rm -f .venv/app* && touch $@

$(DEV): | $(UV) $(PY)
	@echo "Installing Python packages, with those for tests…"
	@$(UV) pip sync -q --require-hashes --no-build --python $(PY) requirements/dev.txt
	@rm -f .venv/app* .venv/dev* && touch $@ $(APP)

$(S3): | $(UV) $(PY)
	@echo "Installing the tests' S3 server…"
	@$(UV) venv -q --clear --python $(PY) .tools/s3
	@$(UV) pip install -q --require-hashes --no-build --python .tools/s3/bin/python -r requirements/s3.txt
	@touch $@

$(NODE): | $(PY)
	@echo "Installing front-end packages…"
	@sh requirements/node.sh
	@$(WITH_NODE) npm ci --silent --ignore-scripts
	@touch $@

# Style sheets are compiled, and others' scripts copied, from the locked packages; none of it is ever committed.
$(PAGES): $(NODE) $(wildcard */static/*.scss) Makefile
	@echo "Compiling style sheets…"
	@$(WITH_NODE) node_modules/.bin/sass --quiet-deps --no-source-map --style=compressed --load-path=node_modules \
	  $(foreach sheet,$(SHEETS),$(sheet):$(dir $(sheet))vendor/$(basename $(notdir $(sheet))).css)
	@cp node_modules/govuk-frontend/dist/govuk/govuk-frontend.min.js node_modules/jsqr/dist/jsQR.js service/static/vendor/
	@mkdir -p $(PHONE) && cp node_modules/idb/build/*.js node_modules/idb/build/*.d.ts $(PHONE)/
	@install -m 644 node_modules/@mediapipe/selfie_segmentation/selfie_* lessons/static/vendor/
	@touch $@
