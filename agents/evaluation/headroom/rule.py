"""A rule fitted to clones: from what was observed, which shift will cost the least?

It is what a simple controller of one decision can do, and it is judged on problems that it was not
fitted to.
"""

import numpy as np

FOLDS = 10
_PENALTIES = np.geomspace(1e-1, 1e5, 13)  # of ridge regression, relative to unit variances
_CLIPPED = 0.02  # share of costs cut off at each end, so that a few wild runs do not decide


def cross_fitted(
    observations: np.ndarray, costs: np.ndarray, folds: int = FOLDS
) -> tuple[np.ndarray, np.ndarray]:
    """Choices for every problem by what the problems of the other folds have shown.

    Args:
        observations: at the moment of the clone, (problems, features).
        costs: final costs of the clones, (shifts, problems), lower being better; the first shift
            is the base.
        folds: parts into which the problems are divided.

    Returns:
        The fitted rule's shift for each problem, and the single shift that is best for all problems
        of the other folds: what a blind controller does. Both are (problems,), int64.
    """
    num_problems = costs.shape[1]
    folds = min(folds, num_problems)
    fold = np.random.default_rng(0).permutation(num_problems) % folds
    reacting = np.zeros(num_problems, dtype=np.int64)
    blind = np.zeros(num_problems, dtype=np.int64)
    for number in range(folds):
        held_out = fold == number
        others = ~held_out
        if others.sum() < 2:
            continue  # the base
        blind[held_out] = np.argmin(costs[:, others].mean(axis=1))
        predicted = _predicted(observations[others], costs[:, others], observations[held_out])
        reacting[held_out] = np.argmin(predicted, axis=1)
    return reacting, blind


def _predicted(observations: np.ndarray, costs: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Costs beyond the base's of all shifts on new problems, (problems, shifts).

    Ridge regression on the observations and their squares. Its penalty is the one with the least
    leave-one-out error; where no penalty beats the means, these are predicted.
    """
    targets = (costs - costs[0]).T
    low, high = np.quantile(targets, [_CLIPPED, 1 - _CLIPPED], axis=0)
    targets = targets.clip(low, high)
    mean = targets.mean(axis=0)
    inputs, new_inputs = _standardised(observations, new)

    left, values, right = np.linalg.svd(inputs, full_matrices=False)
    projected = left.T @ (targets - mean)
    count = len(inputs)
    # Leaving one out, the mean alone errs by n / (n − 1) of the residual.
    best = np.square((targets - mean) * (count / (count - 1))).sum()
    coefficients = np.zeros((inputs.shape[1], targets.shape[1]))
    for penalty in _PENALTIES * count / 100:
        shrunk = values**2 / (values**2 + penalty)
        residual = targets - mean - left @ (shrunk[:, None] * projected)
        leverage = np.square(left) @ shrunk + 1 / count
        error = np.square(residual / (1 - leverage.clip(max=0.999))[:, None]).sum()
        if error < best:
            best = error
            coefficients = right.T @ ((values / (values**2 + penalty))[:, None] * projected)
    return mean + new_inputs @ coefficients


def _standardised(observations: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observations and their squares by the first ones' means and deviations, within ±3."""
    mean = observations.mean(axis=0)
    deviation = observations.std(axis=0)
    varies = deviation > 1e-6  # what is the same in all runs says nothing
    expanded = []
    for part in (observations, new):
        scaled = ((part - mean)[:, varies] / deviation[varies]).clip(-3, 3)
        expanded.append(np.concatenate([scaled, scaled**2], axis=1))
    center = expanded[0].mean(axis=0)
    return expanded[0] - center, expanded[1] - center
