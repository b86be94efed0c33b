"""The Trainer with the mix-in is the loop that one would write by hand."""

import pytest
import torch

from autoloss_gym import Schedule, Scheduler
from autoloss_gym.weightings import GradNorm, SoftAdapt
from tests.adapters.loops import LOSSES, Net, batches, by_hand, controller, same_parameters

transformers = pytest.importorskip("transformers", reason="pip install .[test-adapters]")
pytest.importorskip("accelerate", reason="pip install .[test-adapters]")
from autoloss_gym.adapters.transformers import FILE, LossSchedulingMixin  # noqa: E402

PLAN = Schedule(weights=((1.0, 0.1), (1.0, 10.0)), step_size=(2.0, 0.2))
CASES = {
    "schedule": lambda: PLAN,
    "softadapt": lambda: SoftAdapt(beta=1.0),
    "gradnorm": GradNorm,
    "controller of pairs": lambda: controller("pair"),
    "controller of weights": lambda: controller("weights"),
}


class Model(torch.nn.Module):
    """Gives its losses among its outputs."""

    def __init__(self):
        super().__init__()
        self.net = Net()

    def forward(self, inputs, labels=None, **_):
        losses = self.net.losses(inputs)
        return {"loss": sum(losses.values()).detach(), "losses": losses}


class Trainer(LossSchedulingMixin, transformers.Trainer):
    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        return super().prediction_step(model, inputs, True, ignore_keys)


class Own(Trainer):
    """With a compute_loss of its own, which computes the chosen loss alone."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        outputs = model(inputs["inputs"])
        losses = outputs["losses"]
        if self.is_in_train and self.model.training:
            name = self.choose()
            losses = {name: losses[name]}
        loss = self.weighted(losses)
        return (loss, outputs) if return_outputs else loss


def rows(data):
    return [{"inputs": row, "labels": row[:1]} for row in data.flatten(0, 1)]


def make(given, folder, kind=Trainer, steps=12, **options):
    defaults = {
        "max_steps": steps,
        "optim": "adamw_torch",  # the fused one, a default, rounds in another way
        "per_device_train_batch_size": 8,
        "learning_rate": 0.01,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "train_sampling_strategy": "sequential",
        "eval_strategy": "steps",
        "eval_steps": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    arguments = transformers.TrainingArguments(output_dir=str(folder), **defaults | options)
    return kind(
        model=Model(),
        args=arguments,
        train_dataset=rows(batches()),
        eval_dataset=rows(batches()[:1]),
        loss_scheduler=given,
        losses=LOSSES,
    )


def adam(net):
    return [torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.0)]


@pytest.mark.parametrize("case", CASES)
def test_the_mix_in_decides_and_moves_as_a_loop_by_hand_bit_for_bit(case, tmp_path):
    trainer = make(CASES[case](), tmp_path)
    trainer.train()
    net = Net()
    scheduler = Scheduler(CASES[case](), LOSSES, 12, parameters=net)
    decisions = by_hand(net, scheduler, steps=12, validate_every=4, optimizers=adam(net))
    same_parameters(trainer.model.net, net)
    logs = [log for log in trainer.state.log_history if "loss" in log]
    assert [[log[f"weight/{name}"] for name in LOSSES] for log in logs] == decisions


def test_each_loss_is_logged_beside_the_loss_of_the_trainer(tmp_path):
    trainer = make(PLAN, tmp_path, steps=4, logging_steps=2)
    trainer.train()
    first = trainer.state.log_history[0]
    weighted = sum(first[f"loss/{name}"] * first[f"weight/{name}"] for name in LOSSES)
    assert first["step_size"] > 1
    assert first["loss"] != weighted  # both are averages, of products and of factors
    alone = make(PLAN, tmp_path, steps=1)
    alone.train()
    log = alone.state.log_history[0]
    measured = {name: float(value.detach()) for name, value in Net().losses(batches()[0]).items()}
    assert {name: log[f"loss/{name}"] for name in LOSSES} == measured


def test_accumulated_batches_are_one_update_and_norms_are_those_before_clipping(tmp_path):
    options = {"gradient_accumulation_steps": 2, "max_grad_norm": 0.01, "eval_steps": 2}
    trainer = make(controller("pair"), tmp_path, steps=6, **options)
    trainer.train()
    net = Net()
    scheduler = Scheduler(controller("pair"), LOSSES, 6, parameters=net)
    options = {"accumulate": 2, "clip": 0.01, "optimizers": adam(net)}
    decisions = by_hand(net, scheduler, 6, 2, **options)
    logs = [log for log in trainer.state.log_history if "loss" in log]
    assert [[log[f"weight/{name}"] for name in LOSSES] for log in logs] == decisions
    same_parameters(trainer.model.net, net)


def test_a_trainer_with_a_loss_of_its_own_may_compute_the_chosen_one_alone(tmp_path):
    trainers = [make(controller("pair"), tmp_path, kind) for kind in (Own, Trainer)]
    for trainer in trainers:
        trainer.train()
    same_parameters(trainers[0].model.net, trainers[1].model.net)


@pytest.mark.parametrize("case", ["softadapt", "schedule", "controller of pairs"])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(case, tmp_path):
    options = {"save_strategy": "steps", "save_steps": 7}
    whole = make(CASES[case](), tmp_path, **options)
    whole.train()
    assert (tmp_path / "checkpoint-7" / FILE).exists()
    resumed = make(CASES[case](), tmp_path, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-7"))
    assert resumed.scheduler.steps == 12
    same_parameters(resumed.model.net, whole.model.net)
    (tmp_path / "checkpoint-7" / FILE).unlink()
    with pytest.raises(ValueError, match=FILE):
        resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-7"))


def test_a_model_without_losses_is_answered_in_one_line(tmp_path):
    trainer = make(PLAN, tmp_path)
    trainer.model.forward = lambda inputs, labels: {"loss": inputs.sum()}
    with pytest.raises(ValueError, match="no 'losses'"):
        trainer.train()
