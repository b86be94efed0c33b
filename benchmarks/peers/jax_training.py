"""Training runs as environments in JAX: Adam, history, features, rewards; many runs by `jax.vmap`.

All runs of a batch are in phase: they begin, are validated and end at the same steps. Functions are
those of one run, and `Programs` has them compiled for many.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax, random

Tree = Any

_TINY = 1e-8
_DECAY = 0.9
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class History(NamedTuple):
    """What is known of a run so far."""

    losses: Array  # (2,), each when it was last optimised
    norms: Array  # (2,)
    validation: Array  # (metrics,)
    averages: Array  # (3, metrics), of the metrics and of their first and second difference
    last_difference: Array  # (metrics,)
    best: Array  # (), of the first metric
    best_parameters: Tree


class Run(NamedTuple):
    """All of a run that its updates change."""

    parameters: Tree
    first_moment: Tree
    second_moment: Tree
    history: History


def size(parameters: Tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(parameters))


def loss_and_gradient(
    task: Any, parameters: Tree, training: Tree, action: Array
) -> tuple[Array, Tree, Array]:
    """The chosen loss, its gradient, and the norm of that, ‖∇ℓ‖₂ / √dim."""

    def loss(parameters: Tree) -> Array:
        penalty = sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(parameters))
        return jnp.where(action == 0, task.loss(parameters, training), task.penalty * penalty)

    value, gradient = jax.value_and_grad(loss)(parameters)
    squares = sum((leaf * leaf).sum() for leaf in jax.tree.leaves(gradient))
    return value, gradient, jnp.sqrt(squares / size(gradient))


def start(task: Any, data: Tree, parameters: Tree) -> Run:
    """A run from these parameters, measured once."""
    measured = [loss_and_gradient(task, parameters, data["training"], index) for index in (0, 1)]
    validation = task.validate(parameters, data["validation"])
    zeros = jnp.zeros_like(validation)
    history = History(
        losses=jnp.stack([value for value, _, _ in measured]),
        norms=jnp.stack([norm for _, _, norm in measured]),
        validation=validation,
        averages=jnp.stack([validation, zeros, zeros]),
        last_difference=zeros,
        best=validation[0],
        best_parameters=parameters,
    )
    moments = jax.tree.map(jnp.zeros_like, parameters)
    return Run(parameters, moments, moments, history)


def reset(task: Any, key: Array) -> tuple[Tree, Run]:
    """A new problem, and a run on it."""
    of_problem, of_start = random.split(key)
    data = task.problem(of_problem)
    return data, start(task, data, task.start(of_start))


def update(task: Any, data: Tree, run: Run, step: Array, action: Array) -> Run:
    """One step of Adam on the chosen loss; `step` counts from 1."""
    value, gradient, norm = loss_and_gradient(task, run.parameters, data["training"], action)
    beta_1, beta_2 = _BETAS
    first = jax.tree.map(
        lambda moment, slope: beta_1 * moment + (1 - beta_1) * slope, run.first_moment, gradient
    )
    second = jax.tree.map(
        lambda moment, slope: beta_2 * moment + (1 - beta_2) * slope * slope,
        run.second_moment,
        gradient,
    )
    rate = task.learning_rate / (1 - beta_1**step)
    root = jnp.sqrt(1 - beta_2**step)
    parameters = jax.tree.map(
        lambda old, up, down: old - rate * up / (jnp.sqrt(down) / root + _EPSILON),
        run.parameters,
        first,
        second,
    )
    chosen = jnp.arange(2) == action
    history = run.history._replace(
        losses=jnp.where(chosen, value, run.history.losses),
        norms=jnp.where(chosen, norm, run.history.norms),
    )
    return Run(parameters, first, second, history)


def judge(task: Any, data: Tree, run: Run) -> tuple[Run, Array]:
    """Validate the run; return it and its reward, the gain of the first metric's logarithm."""
    old = run.history
    values = task.validate(run.parameters, data["validation"])
    difference = values - old.validation
    new = jnp.stack([values, difference, difference - old.last_difference])
    sign = 1 if task.minimize else -1
    is_better = sign * values[0] < sign * old.best
    history = old._replace(
        validation=values,
        averages=_DECAY * old.averages + (1 - _DECAY) * new,
        last_difference=difference,
        best=jnp.where(is_better, values[0], old.best),
        best_parameters=jax.tree.map(
            functools.partial(jnp.where, is_better), run.parameters, old.best_parameters
        ),
    )
    bound = jnp.minimum if task.minimize else jnp.maximum
    shown = jnp.stack([old.validation[0], values[0]])
    before, after = jnp.log(jnp.maximum(bound(shown, task.worst), _TINY))
    return run._replace(history=history), sign * (before - after)


def features(task: Any, run: Run, step: Array) -> Array:
    """What a controller observes, (9 + 4·metrics − 2,), within [-1, 1]."""
    history = run.history
    average = history.averages[0]
    differences = history.averages[1:] / jnp.maximum(jnp.abs(average), _TINY)
    logs = jnp.log(jnp.maximum(history.norms, _TINY))
    first, second = history.losses
    ratio = first / jnp.where(second == 0, _TINY, second)
    magnitudes = (history.norms, history.losses, history.validation, average)
    return jnp.concatenate(
        [
            jnp.atleast_1d(step / task.max_steps),
            _squashed(jnp.concatenate(magnitudes)),
            jnp.tanh(20 * differences.reshape(-1)),
            jnp.tanh((logs[0] - logs[1]) / 4)[None],
            _squashed(ratio)[None],
        ]
    )


def _squashed(values: Array) -> Array:
    return jnp.tanh(jnp.log(jnp.clip(jnp.abs(values), _TINY, 1 / _TINY)) / 4)


def step(task: Any, data: Tree, run: Run, step: Array, action: Array) -> tuple[Run, Array, Array]:
    """An update, and where one is due a validation: the run, what is observed, and the reward."""
    run = update(task, data, run, step, action)
    is_due = step % task.validate_every == 0
    run, reward = lax.cond(
        is_due, lambda run: judge(task, data, run), lambda run: (run, jnp.float32(0)), run
    )
    return run, features(task, run, step), reward


def episode(
    task: Any, observing: bool, data: Tree, run: Run, actions: Array
) -> tuple[Run, Array, Array]:
    """All the steps of an episode, or the first of them, whose actions (steps,) are known.

    Returns:
        The run, what is observed at the end or with `observing` after every step, and the sum of
        the rewards.
    """
    every = task.validate_every
    blocks = actions.reshape(-1, every)
    steps = jnp.arange(1, actions.size + 1).reshape(-1, every)

    def one(run: Run, given: tuple[Array, Array]) -> tuple[Run, Array | None]:
        number, action = given
        run = update(task, data, run, number, action)
        return run, features(task, run, number) if observing else None

    def block(run: Run, given: tuple[Array, Array]) -> tuple[Run, tuple[Any, Array]]:
        run, observed = lax.scan(one, run, given)
        run, reward = judge(task, data, run)
        return run, (observed, reward)

    run, (observed, rewards) = lax.scan(block, run, (steps, blocks))
    if observed is None:
        observed = features(task, run, steps[-1, -1])
    return run, observed, rewards.sum()


def scores(task: Any, data: Tree, run: Run) -> tuple[Array, Array]:
    """Figures of merit at the last step and at the best validation."""
    best = run.history.best_parameters
    return task.score(run.parameters, data), task.score(best, data)
