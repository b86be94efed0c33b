# `make demo` and `make test` both make .venv and need nothing else but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
ENV := AutoLoss/QuadraticRegression-v0
BASELINES := always:mse 1:1 fixed:1 grid random softadapt softadapt:pair

.PHONY: demo test
.venv/installed: pyproject.toml constraints.txt
	@echo "Installing into .venv (PyTorch is large: this takes minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[agents,test]"
	@touch $@

# Train PPO, then compare it with static schedules and SoftAdapt: on synthetic problems, then on real data.
demo: .venv/installed
	@set -e; for data in synthetic diabetes; do \
	    echo; echo "== $$data: train PPO, then compare it with schedules and SoftAdapt"; \
	    run=$$($(BIN)/python train_agent.py --env $(ENV) --env-kwargs dataset=$$data --algo ppo); \
	    $(BIN)/python evaluate.py --env $(ENV) --env-kwargs dataset=$$data --episodes 20 --policies ppo:$$run $(BASELINES); \
	done

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy autoloss_gym agents train_agent.py evaluate.py
	$(BIN)/pytest --numprocesses 2
