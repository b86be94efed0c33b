# `make demo` and `make test` both make .venv and need nothing else but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
BASELINES := 1:1 fixed:1 grid random softadapt softadapt:pair

.PHONY: benchmark demo peers results test test-extras
.venv/installed: pyproject.toml setup.py constraints.txt
	@echo "Installing into .venv (PyTorch is large: this takes minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[agents,test]"
	@touch $@

# Train a controller, then compare it with static schedules and SoftAdapt: few decisions on synthetic problems, PPO on real data;
# then five translations of a model before and after its training.
demo: .venv/installed
	@set -e; for choice in QuadraticRegression-v1:synthetic:group QuadraticRegression-v1:diabetes:ppo MLPClassification-v1:breast_cancer:ppo; do \
	    algo=$${choice##*:}; choice=$${choice%:*}; id=AutoLoss/$${choice%:*}; data=dataset=$${choice#*:}; \
	    echo; echo "== $$id, $$data: train $$algo, then compare it with schedules and SoftAdapt"; \
	    run=$$($(BIN)/python train_agent.py --env $$id --env-kwargs $$data --algo $$algo); \
	    $(BIN)/python evaluate.py --env $$id --env-kwargs $$data --episodes 20 --policies $$algo:$$run $(BASELINES); \
	done
	@echo; echo "== AutoLoss/MultiTaskTranslation-v0: translations before and after 600 updates"
	@$(BIN)/python examples/translate.py

# Make every table of docs/results/; about an hour and a half on two cores; it can be killed and called again.
results: .venv/installed
	$(BIN)/python -m studies.tables

# The libraries that benchmarks.peers compares with, each in an environment of its own (2 GB; needed by nothing else).
PEERS := benchmarks/peers
peers:
	$(PYTHON) -m venv $(PEERS)/.venv-jax
	$(PEERS)/.venv-jax/bin/pip install --quiet --constraint $(PEERS)/constraints-jax.txt jax
	$(PYTHON) -m venv $(PEERS)/.venv-dacbench
	$(PEERS)/.venv-dacbench/bin/pip install --quiet --constraint $(PEERS)/constraints-dacbench.txt torch pillow
	$(PEERS)/.venv-dacbench/bin/pip install --quiet --constraint $(PEERS)/constraints-dacbench.txt --no-deps torchvision
	$(PEERS)/.venv-dacbench/bin/pip install --quiet --constraint $(PEERS)/constraints-dacbench.txt dacbench

# Training steps a second, against loops that train one model at a time and the peers that are installed; then where the
# time of a PPO training goes, and what PPO on tensors saves of it.
benchmark: .venv/installed
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.ppo_profile
	$(BIN)/python -m benchmarks.tensor_ppo

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy autoloss_gym agents benchmarks studies train_agent.py evaluate.py
	$(BIN)/pytest --numprocesses 2 --dist worksteal

# What plays on a Ray cluster or searches with Optuna: extras that `make test` does without, and skips.
test-extras: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[cluster,tune]"
	$(BIN)/pytest tests/agents/sweeps/test_ray_cluster.py tests/agents/test_tune.py tests/agents/tuning
