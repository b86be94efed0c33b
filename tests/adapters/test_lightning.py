"""The loop of Lightning with the callback is the loop that one would write by hand."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from autoloss_gym import Schedule, Scheduler
from autoloss_gym.controllers.policies.static import RandomPair
from autoloss_gym.weightings import GradNorm, SoftAdapt
from tests.adapters.loops import LOSSES, Net, batches, by_hand, controller, same_parameters

lightning = pytest.importorskip("lightning.pytorch", reason="pip install .[test-adapters]")
from autoloss_gym.adapters.lightning import LossScheduler  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:.*isinstance\(treespec, LeafSpec\):FutureWarning"),
    pytest.mark.filterwarnings(r"ignore:.*does not have many workers"),
]
PLAN = Schedule(weights=((1.0, 0.1), (1.0, 10.0)), step_size=(2.0, 0.2))
CASES = {
    "schedule": lambda: (PLAN, {}),
    "schedule as probabilities": lambda: (PLAN, {"draw": True, "seed": 3}),
    "softadapt": lambda: (SoftAdapt(beta=1.0), {}),
    "gradnorm": lambda: (GradNorm(), {}),
    "random": lambda: (RandomPair("random:0.3", (0.3, 0.7)), {}),
    "controller of pairs": lambda: (controller("pair"), {}),
    "controller of weights": lambda: (controller("weights"), {}),
}


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = Net()

    def training_step(self, batch, batch_idx):
        return self.loss_scheduler.weighted(self.net.losses(batch[0]))

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss_scheduler.weighted(self.net.losses(batch[0])))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Chooses(Module):
    def training_step(self, batch, batch_idx):
        name = self.loss_scheduler.choose()
        return self.loss_scheduler.weighted({name: self.net.losses(batch[0])[name]})


class Manual(Module):
    """Two optimizers, one for each loss, of which one steps."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        name = self.loss_scheduler.choose()
        optimizer = self.optimizers()[LOSSES.index(name)]
        optimizer.zero_grad()
        loss = self.net.losses(batch[0])[name]
        self.manual_backward(self.loss_scheduler.weighted({name: loss}))
        optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.Adam(part.parameters(), lr=0.01) for part in self.net.parts()]


class Logged(lightning.Callback):
    """What is logged at each update."""

    def __init__(self):
        self.rows = []

    def on_train_batch_end(self, trainer, *_):
        self.rows.append({k: float(v) for k, v in trainer.callback_metrics.items()})


def train(module, callbacks, steps=12, folder=None, package=lightning, **options):
    checkpoint = options.pop("ckpt_path", None)
    trainer = package.Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        default_root_dir=folder,
        **{"val_check_interval": 4, "num_sanity_val_steps": 1} | options,
    )
    data = DataLoader(TensorDataset(batches().flatten(0, 1)), batch_size=8)
    val = DataLoader(TensorDataset(batches()[0]), batch_size=8)
    trainer.fit(module, data, val, ckpt_path=checkpoint)
    return trainer


@pytest.mark.parametrize("case", CASES)
def test_the_callback_decides_and_moves_as_a_loop_by_hand_bit_for_bit(case, tmp_path):
    given, options = CASES[case]()
    logged = Logged()
    callback = LossScheduler(given, LOSSES, monitor="val_loss", **options)
    module = Module()
    train(module, [callback, logged], folder=tmp_path)

    net = Net()
    given, options = CASES[case]()
    scheduler = Scheduler(given, LOSSES, 12, parameters=net, **options)
    decisions = by_hand(net, scheduler, steps=12, validate_every=4)
    same_parameters(module.net, net)
    names = [f"weight/{name}" for name in LOSSES]
    assert [[row[name] for name in names] for row in logged.rows] == decisions
    assert len({tuple(each) for each in decisions}) > 1  # they are decided, not held


def test_each_loss_is_logged_as_it_was_measured(tmp_path):
    logged = Logged()
    train(Module(), [LossScheduler(PLAN, LOSSES), logged], steps=1, folder=tmp_path)
    first = {name: float(value.detach()) for name, value in Net().losses(batches()[0]).items()}
    assert {name: logged.rows[0][f"loss/{name}"] for name in LOSSES} == first
    assert logged.rows[0]["step_size"] == 2.0


def test_accumulated_batches_are_one_update_and_norms_are_those_before_clipping(tmp_path):
    callback = LossScheduler(controller("pair"), LOSSES, monitor="val_loss")
    options = {"accumulate_grad_batches": 2, "gradient_clip_val": 0.01}
    module = Module()
    train(module, [callback], steps=6, folder=tmp_path, **options)
    net = Net()
    scheduler = Scheduler(controller("pair"), LOSSES, 6, parameters=net)
    by_hand(net, scheduler, steps=6, validate_every=2, accumulate=2, clip=0.01)
    same_parameters(module.net, net)
    for part in ("signals", "decider"):
        assert str(callback.state_dict()[part]) == str(scheduler.state_dict()[part])


def test_a_module_that_computes_the_chosen_loss_alone_trains_as_one_that_computes_all(tmp_path):
    modules = [Chooses(), Module()]
    for module in modules:
        callback = LossScheduler(controller("pair"), LOSSES, monitor="val_loss")
        train(module, [callback], folder=tmp_path)
    same_parameters(modules[0].net, modules[1].net)


def test_two_optimizers_take_turns_in_manual_optimisation(tmp_path):
    module = Manual()
    rule = RandomPair("random:0.5", (0.5, 0.5))
    train(module, [LossScheduler(rule, LOSSES, seed=2)], folder=tmp_path)
    net = Net()
    optimizers = [torch.optim.Adam(part.parameters(), lr=0.01) for part in net.parts()]
    scheduler = Scheduler(rule, LOSSES, 12, seed=2)
    decisions = by_hand(net, scheduler, steps=12, validate_every=99, optimizers=optimizers)
    same_parameters(module.net, net)
    assert {tuple(each) for each in decisions} == {(1.0, 0.0), (0.0, 1.0)}


@pytest.mark.parametrize("case", ["softadapt", "schedule", "controller of pairs"])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(case, tmp_path):
    def made():
        given, options = CASES[case]()
        return LossScheduler(given, LOSSES, monitor="val_loss", max_steps=24, **options)

    whole = Module()
    train(whole, [made()], steps=24, folder=tmp_path)
    stopped, first = Module(), made()
    trainer = train(stopped, [first], steps=12, folder=tmp_path)
    trainer.save_checkpoint(tmp_path / "stopped.ckpt")
    resumed, second = Module(), made()
    train(resumed, [second], steps=24, folder=tmp_path, ckpt_path=tmp_path / "stopped.ckpt")
    assert second.scheduler.steps == 24
    same_parameters(resumed.net, whole.net)


def test_the_step_size_is_gone_after_the_step(tmp_path):
    module = Module()
    trainer = train(module, [LossScheduler(PLAN, LOSSES)], steps=3, folder=tmp_path)
    assert [group["lr"] for group in trainer.optimizers[0].param_groups] == [0.01]


def test_mixed_precision_is_recorded_like_full_precision(tmp_path):
    callback = LossScheduler(controller("pair"), LOSSES, monitor="val_loss")
    train(Module(), [callback], folder=tmp_path, precision="bf16-mixed")
    assert callback.scheduler.steps == 12


def test_the_package_of_the_older_name_takes_the_callback(tmp_path):
    package = pytest.importorskip("pytorch_lightning")

    class Older(package.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net()

        training_step = Module.training_step
        validation_step = Module.validation_step
        configure_optimizers = Module.configure_optimizers

    older, newer = Older(), Module()
    train(older, [LossScheduler(PLAN, LOSSES)], folder=tmp_path, package=package)
    train(newer, [LossScheduler(PLAN, LOSSES)], folder=tmp_path)
    same_parameters(older.net, newer.net)


def test_a_controller_without_a_monitor_is_refused(tmp_path):
    with pytest.raises(ValueError, match="monitor"):
        train(Module(), [LossScheduler(controller("pair"), LOSSES)], folder=tmp_path)
    callback = LossScheduler(controller("pair"), LOSSES, monitor="val_lost")
    with pytest.raises(ValueError, match=r"val_lost was not logged.*val_loss"):
        train(Module(), [callback], folder=tmp_path)


def test_losses_that_are_wrong_are_answered_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="expected the names of the losses"):
        LossScheduler(PLAN)
    with pytest.raises(ValueError, match="beside a Scheduler"):
        LossScheduler(Scheduler(PLAN, LOSSES, 3), LOSSES)
    with pytest.raises(ValueError, match="losses of 'fit', 'sparse': expected of a, b"):
        train(Module(), [LossScheduler(PLAN, ("a", "b"))], folder=tmp_path)
