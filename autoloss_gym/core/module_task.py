"""`from_module`: a task from an ordinary `nn.Module` and functions of one run."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from autoloss_gym.core.modules.blocks import blocks_and_pairs
from autoloss_gym.core.modules.data import ModuleData
from autoloss_gym.core.modules.figures import Figures, named, with_worst
from autoloss_gym.core.modules.optimizers import as_optimizer
from autoloss_gym.core.modules.task import Function, ModuleTask, label
from autoloss_gym.core.modules.template import Template
from autoloss_gym.core.modules.trial import try_out
from autoloss_gym.tools.arguments import mapping, unexpected
from autoloss_gym.tools.bounds import PositiveInt
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.names import shown


def from_module(
    module: Callable[[], nn.Module],
    losses: Mapping[str, Function],
    *,
    validation: Any,
    test: Any = None,
    data: Any = None,
    blocks: Mapping[str, Any] | None = None,
    pairs: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    optimizer: Any = "adam",
    learning_rate: float | None = None,
    optimizer_arguments: Mapping[str, Any] | None = None,
    vectorize: bool = True,
    **options: Any,
) -> ModuleTask:
    """A task whose runs train a module of yours.

    Every function here is of one run, as in any PyTorch loop: `function(model, batch)` returns a
    tensor without dimensions. Each is called once, so that a mistake is told at once.

    Args:
        module: a function that makes a new `nn.Module`, such as `lambda: Net()`. It is called for
            every run, with PyTorch's generator seeded by the run's key.
        losses: functions (model, batch) by name; the model is in training mode.
        validation: a function (model, part), or several by name or `Metric`, whose first decides
            which parameters are the best; the model is in evaluation mode. It is minimised unless
            `Metric(…, minimize=False)` stands in the place of its name.
        test: the same on the test part, for the score; by default the functions of `validation`.
        data: parts by name, {"train": …, "validation": …, "test": …}, each a tree of tensors; or
            one tree of tensors or data set, which is split 60/20/20; or a function of a
            `torch.Generator` that returns either for each problem.
        blocks: patterns of parameter names by block, such as {"trunk": "trunk.*"}; by default one
            block for each child, where those that the same losses update are one.
        pairs: blocks that each loss updates, {"fit": ("trunk", "head")}; by default all that it
            depends on.
        batch_size: rows that a step draws with replacement; None for all.
        optimizer: "adam" or "sgd", a class of `torch.optim` or a `functools.partial` of one, or an
            `autoloss_gym` optimizer.
        learning_rate: of it; by default 1e-3.
        optimizer_arguments: of it, by their names in PyTorch.
        vectorize: whether runs are computed together by `torch.func.vmap`, which agrees with a run
            alone up to rounding; False computes one after another, bit for bit.
        options: of every task: `max_steps`, `validate_every`, `patience`, `collapse_repeats`,
            `collapse_share`, `learning_rate_factor`.

    Raises:
        ValueError: one line that says what is wrong and what to do.
    """
    for name in options:
        if name not in _OPTIONS:
            raise unexpected("argument of from_module", name, (*_OPTIONS, *_ARGUMENTS))
    functions = _loss_functions(losses)
    figures = named("validation", validation)
    scores = figures if test is None else named("test", test)
    size = converted("batch_size", batch_size, PositiveInt | None)
    stepper = as_optimizer(optimizer, learning_rate, optimizer_arguments)

    template = Template(module)
    source = ModuleData(data)
    by_label = {label(name): function for name, function in functions.items()}
    trial = try_out(module, by_label, _metrics(figures, scores), source, size)
    reached = {name: trial.reached[label(name)] for name in functions}
    chosen, arms = blocks_and_pairs(template, blocks, pairs, reached)
    untrained = {metric.name: trial.values[label(metric.name, "test")] for metric, _ in scores}
    return ModuleTask(
        factory=module,
        functions=tuple(functions.items()),
        blocks=tuple(chosen.items()),
        arms=arms,
        figures=figures,
        scores=with_worst(scores, untrained),
        source=source,
        batch_size=size,
        drawing=trial.drawing,
        vectorize=converted("vectorize", vectorize, bool),
        optimizer=stepper,
        **options,
    )


def _loss_functions(losses: Any) -> dict[str, Function]:
    functions = dict(mapping("losses", losses))
    if not functions or not all(isinstance(name, str) for name in functions):
        raise ValueError(f"losses={shown(losses)}: expected functions (model, batch) by name")
    return functions


def _metrics(figures: Figures, scores: Figures) -> dict[str, tuple[Function, str]]:
    """All functions of the validation and the test with the part that each is given."""
    metrics = {}
    for role, given in (("validation", figures), ("test", scores)):
        for metric, function in given:
            metrics[label(metric.name, role)] = (function, role)
    return metrics


_ARGUMENTS = tuple(inspect.signature(from_module).parameters)[:-1]
_OPTIONS = (
    "max_steps",
    "validate_every",
    "patience",
    "collapse_repeats",
    "collapse_share",
    "learning_rate_factor",
)
