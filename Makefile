# Every target that needs the environment makes it first; `make` alone lists them.
PYTHON ?= python3
UV     ?= uv
OUT    ?= runs
ARGS   ?=
JOBS   ?= 0
FULL   ?=
ALL    := $(sort $(wildcard experiments/[!_]*.py))
# Those that answer a question of the introduction, in minutes; the others have targets of their own, take --jobs, or
# need files that a user brings.
LONG   := battery ablation initialisation depth_width length_generalisation sentiment names nietzsche tinyshakespeare
EXPERIMENTS ?= $(filter-out $(LONG:%=experiments/%.py),$(ALL))

BIN   := .venv/bin
READY := .venv/.ready
PEERS := .venv/.peers
PIP   := $(BIN)/python -m pip --disable-pip-version-check
# The lock's pins without their hashes: what else is installed must leave them alone.
PINS  := .venv/pins.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup peers run full battery ablation report smoke test contract faults bench accelerator lint check format lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  OUT=$(OUT)      where runs are written and read"
	@echo "  SEEDS=5 CELLS='LSTM GRU' TASKS='Recall Parity' FULL=1   of battery and ablation"
	@echo "  JOBS=$(JOBS)        trials at once in battery and ablation; 0 for one per core"
	@echo "  ARGS=...      passed on, e.g. make run ARGS='--steps 100', make test ARGS='-k lstm -x'"
	@echo "  PYTHON=$(PYTHON)  the interpreter (3.11 or newer) that .venv is made with"

setup: $(READY) ## Make .venv from the hashed lock, once

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: PYTHON: $(PYTHON) is $$($(PYTHON) --version 2>&1): Python 3.11 or newer is needed;" \
	       "name one, e.g. make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
	  echo "error: PYTHON: $(PYTHON) cannot make a virtual environment: install its venv package" \
	       "(python3-venv on Debian and Ubuntu)" >&2; exit 1; }
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

peers: $(PEERS) ## Add PyTorch, Keras, submitit and Ray, for the tests that need them

$(PEERS): $(READY)
	@sed -n '/^[^ #]/s/ *\\$$//p' requirements.lock > $(PINS)
	$(PIP) install --quiet --constraint $(PINS) --no-build-isolation --editable '.[bench,slurm,ray]'
	@touch $@

# Exit code 8 says that some trials failed: the report shows which, and the code is passed on.
define run-and-report
	@code=0; $(BIN)/lstm-lab run $(EXPERIMENTS) --out '$(OUT)' $(1) $(ARGS) || code=$$?; \
	case $$code in 0|8) $(BIN)/lstm-lab report '$(OUT)' || exit;; esac; exit $$code
endef

run: $(READY) ## Run every experiment into OUT, then report; what is done is not run again
	$(call run-and-report)

full: $(READY) ## The same at the sizes the experiments publish
	$(call run-and-report,--full)

SELECT = $(if $(SEEDS),--seeds $(SEEDS)) $(if $(CELLS),--cells $(CELLS)) $(if $(TASKS),--tasks $(TASKS)) \
  $(if $(FULL),--full) --jobs $(JOBS)

battery ablation: EXPERIMENTS = experiments/$@.py
battery: $(READY) ## Cells on tasks of memory, with the probes that explain them, into OUT; goes on where it was
	$(call run-and-report,$(SELECT))

ablation: $(READY) ## The nine LSTMs of Greff et al. over tasks of memory, into OUT; goes on where it was
	$(call run-and-report,$(SELECT))

report: $(READY) ## Tables, figures and one page from the runs in OUT
	@$(BIN)/lstm-lab report '$(OUT)' $(ARGS)

smoke: $(READY) ## Two steps of every experiment, thrown away
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && \
	$(BIN)/lstm-lab run $(ALL) --smoke --out "$$out" --jobs $(JOBS) $(ARGS)

test: $(READY) ## The tests; of the large suites a sample
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup $(ARGS)

contract: $(READY) ## What `make test` leaves out of the large suites: every cell, layer, schedule; minutes
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup -m variant $(ARGS)

faults: $(READY) ## The fault suite: kills, signals, full disks, flipped bits; minutes
	$(BIN)/python -m pytest -m fault $(ARGS)

bench: $(READY) ## Time a training step against every framework installed (make peers); long
	$(BIN)/lstm-lab bench --out experiments/results $(ARGS)

accelerator: ## Measure this machine's accelerator in 9 minutes; needs jax, flax, optax, numpy in PYTHON, no .venv
	PYTHONPATH=. $(PYTHON) -m lstm_lab.bench.accelerator $(ARGS)

lint: $(READY) ## Lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test ## What a change must pass: lint and test

format: $(READY) ## Rewrite the code as `make lint` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

LOCK = $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header pyproject.toml --extra dev

lock: ## Resolve the locks again (needs uv; UPGRADE=--upgrade takes newer releases)
	$(LOCK) $(UPGRADE) -o requirements.lock
	for extra in cuda12 cuda13 tpu; do \
	  $(LOCK) --extra $$extra -c requirements.lock -o requirements-$$extra.lock || exit; done

clean: ## Remove .venv and caches; runs stay
	rm -rf .venv dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find lstm_lab experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +
