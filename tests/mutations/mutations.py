"""Rules of training, each with a change of the code that breaks it and that tests must notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """A rule, broken on purpose.

    Args:
        rule: its number in the list of what is easy to get wrong, and its words.
        file: the code that keeps it.
        replacements: pieces of text, each standing there once, and what they become.
        tests: files below tests/, divided by blanks, which fail with the broken rule.
    """

    rule: str
    file: str
    replacements: tuple[tuple[str, str], ...]
    tests: str


_GRADIENT_TASK = "autoloss_gym/core/gradient_task.py"
_DIFFERENTIATION = "autoloss_gym/core/differentiation.py"
_COMBINATION = "autoloss_gym/core/combination.py"
_ADAM = "autoloss_gym/optimizers/adam.py"
_HISTORY = "autoloss_gym/signals/history.py"
_RUNS = "autoloss_gym/environment/runs.py"
_PROGRAMS = "autoloss_gym/environment/programs.py"
_PHASES = "autoloss_gym/environment/phases.py"
_INFOS = "autoloss_gym/environment/infos.py"
_CORE_TESTS = "core/test_gradient_task.py"
_ENVIRONMENT_TESTS = "environment/test_vector_env.py"

MUTATIONS = (
    Mutation(
        "1 one optimizer for all losses of a block",
        _GRADIENT_TASK,
        (
            (
                "{name: self._optimizers[name].init(block) for name, block in packed.items()}",
                "{name + pair.name: self._optimizers[name].init(block)"
                " for name, block in packed.items() for pair in self.pairs}",
            ),
            (
                "            for block, (gradient, active) in steps.items():\n"
                "                parameters, moments = state.parameters[block], state.optimizer[block]\n"
                "                optimizer = self._optimizers[block]\n"
                "                optimizer.update("
                "parameters, gradient, moments, active, step_size)\n",
                "            for index, pair in enumerate(self.pairs):\n"
                "                mask = moving & (torch.arange(len(self.pairs)) == index)\n"
                "                steps = combined("
                "state.parameters, self.pairs, gradients, weights, mask, self.clip_norm)\n"
                "                for block, (gradient, active) in steps.items():\n"
                "                    moments = state.optimizer[block + pair.name]\n"
                "                    self._optimizers[block].update("
                "state.parameters[block], gradient, moments, active, step_size)\n",
            ),
        ),
        f"{_CORE_TESTS}::test_all_losses_of_a_block_share_one_adam",
    ),
    Mutation(
        "2 idle runs keep their moments",
        _ADAM,
        (("(1.0, 1.0, 0.0, 0.0, 1.0)", "(first, second, 0.0, 0.0, 1.0)"),),
        "optimizers/test_optimizers.py",
    ),
    Mutation(
        "2 idle runs keep their step count",
        _ADAM,
        (('state["steps"].add_(active)', 'state["steps"].add_(1)'),),
        "optimizers/test_optimizers.py",
    ),
    Mutation(
        "2 a pair moves its own blocks alone",
        _COMBINATION,
        (("enumerate(pairs) if block in pair.blocks]", "enumerate(pairs)]"),),
        _CORE_TESTS,
    ),
    Mutation(
        "3 draws do not depend on the batch",
        "autoloss_gym/random.py",
        (("_mix(keys[:, None] + counters)", "_mix(keys[:, None] + counters + (len(keys) - 1))"),),
        "test_random.py",
    ),
    Mutation(
        "3 the same bits in any batch",
        "autoloss_gym/networks/quadratic.py",
        (
            (
                "prediction = (slopes * inputs).sum(dim=2)",
                'prediction = (inputs.bmm(weights["quadratic"]) * inputs).sum(dim=2) / 10'
                ' + inputs.bmm(weights["linear"][:, :, None])[:, :, 0]',
            ),
        ),
        _ENVIRONMENT_TESTS,
    ),
    Mutation(
        "3 resetting one run leaves the others",
        _PHASES,
        (("self.elapsed[rows] = 0", "self.elapsed[:] = 0"),),
        _ENVIRONMENT_TESTS,
    ),
    Mutation(
        "4 losses are refreshed when they are optimised, and only then",
        _HISTORY,
        (
            (
                "self.losses = torch.where(measured, evaluation.losses, self.losses)",
                "self.losses = evaluation.losses",
            ),
        ),
        _ENVIRONMENT_TESTS,
    ),
    Mutation(
        "4 slopes use refreshed values",
        "autoloss_gym/weightings/memory.py",
        (("torch.where(refreshed[..., None], pushed, history)", "pushed"),),
        f"{_ENVIRONMENT_TESTS} weightings/test_softadapt.py",
    ),
    Mutation(
        "4 a loss that is not finite is left out of the history",
        "autoloss_gym/weightings/measurements.py",
        (("refreshed=measured.refreshed & finite", "refreshed=measured.refreshed"),),
        "weightings/test_softadapt.py weightings/test_weightings.py",
    ),
    Mutation(
        "4 a prior is never forgotten",
        "autoloss_gym/weightings/scaling.py",
        (("weights = weights * row(tuple(prior), weights.device, weights.dtype)", "pass"),),
        "weightings/test_softadapt.py",
    ),
    Mutation(
        "5 a failed run is idle before the optimizer",
        _GRADIENT_TASK,
        (("moving = used & ~state.diverged[:, None]", "moving = used"),),
        _CORE_TESTS,
    ),
    Mutation(
        "5 a loss that was not chosen harms nobody",
        _COMBINATION,
        (
            (
                "total = torch.where(mask, part.values, 0.0 if total is None else total)",
                "total = part.values * mask + (0.0 if total is None else total)",
            ),
            (
                "total = part.values if total is None else torch.where(mask, part.values, total)",
                "total = part.values * mask + (0.0 if total is None else total)",
            ),
            (
                "weighted = torch.where(mask, part.of_all(len(mask)) * factor, 0.0)",
                "weighted = part.of_all(len(mask)) * factor",
            ),
        ),
        _CORE_TESTS,
    ),
    Mutation(
        "5 a diverged run ends with the worst score",
        _INFOS,
        (("torch.where(diverged | ~torch.isfinite(bounded), metric.worst, bounded)", "bounded"),),
        f"environment/test_infos.py {_ENVIRONMENT_TESTS}",
    ),
    Mutation(
        "6 the due runs are validated, and no others",
        _PROGRAMS,
        (
            (
                "on_rows(functools.partial(self._validate, task), runs.state, due)",
                "self._validate(task, runs.state)",
            ),
        ),
        _ENVIRONMENT_TESTS,
    ),
    Mutation(
        "6 episodes end where a validation is due",
        _RUNS,
        (("return due & over", "return over"),),
        _ENVIRONMENT_TESTS,
    ),
    Mutation(
        "7 best_score is at the best validation",
        _RUNS,
        (
            (
                "runs.best = tree.where(improved, state.model, runs.best)",
                "runs.best = tree.clone(state.model)",
            ),
        ),
        f"environment/test_infos.py {_ENVIRONMENT_TESTS}",
    ),
    Mutation(
        "7 score is at the last step",
        _INFOS,
        (
            (
                "last_scores = _bounded_scores(task, state, ended)",
                "last_scores = _bounded_scores(task, replace(state, parameters=best), ended)",
            ),
        ),
        "environment/test_infos.py",
    ),
    Mutation(
        "8 a loss needs its gradient under no_grad as well",
        _DIFFERENTIATION,
        (("with torch.enable_grad():", "if True:"),),
        _CORE_TESTS,
    ),
    Mutation(
        "8 a split penalty is that of its own block",
        "autoloss_gym/losses/penalties.py",
        (
            (
                "named_tensors({block: parameters[block] for block in blocks})",
                "named_tensors(parameters)",
            ),
            (
                "together.abs().sum(dim=1)",
                "torch.cat(list(parameters.values()), dim=1).abs().sum(dim=1)",
            ),
        ),
        "losses/test_penalties.py",
    ),
    Mutation(
        "9 a threshold rule penalises above its threshold",
        "agents/policies/threshold_rules.py",
        (("a - b > self.threshold * b", "a - b < self.threshold * b"),),
        "agents/policies/test_threshold_rules.py",
    ),
    Mutation(
        "9 the best quarter goes on",
        "agents/evaluation/selection.py",
        (("np.argsort(means, kind=", "np.argsort(-means, kind="),),
        "agents/evaluation/test_selection.py",
    ),
    Mutation(
        "8 a run that ends within a rollout stays as it was",
        "autoloss_gym/environment/segments.py",
        (("            tree.merge(runs, _on(rows, runs), part)\n", ""),),
        "controls/test_hold_schedule.py",
    ),
    Mutation(
        "8 no run ends before its first decision",
        "autoloss_gym/environment/decisions.py",
        (("may_end=False", "may_end=True"),),
        "environment/test_decisions.py",
    ),
    Mutation(
        "9 a search follows its best schedules",
        "agents/evaluation/schedule_search.py",
        (("costs = sign * np.stack", "costs = -sign * np.stack"),),
        "agents/evaluation/test_schedule_search.py",
    ),
    Mutation(
        "10 episodes on disk belong to their problems",
        "agents/evaluation/store.py",
        (('"seeds": seeds.tolist()}', '"seeds": len(seeds)}'),),
        "agents/evaluation/test_store.py",
    ),
    Mutation(
        "11 a problem is drawn on the device of its keys",
        "autoloss_gym/data/clusters.py",
        (
            ("[0, 2, 1, 3], dtype=torch.int64, device=device", "[0, 2, 1, 3]"),
            ("[0, 1, 3, 2], dtype=torch.int64, device=device", "[0, 1, 3, 2]"),
        ),
        "contracts/test_meta_device.py",
    ),
    Mutation(
        "11 mini-batches are drawn on the device of the runs",
        "autoloss_gym/tasks/images/sparse_autoencoder.py",
        (
            (
                "gather(1, draws))",
                "gather(1, draws.new_zeros(draws.shape, device='cpu')))",
            ),
        ),
        "contracts/test_meta_device.py",
    ),
    Mutation(
        "11 a step asks nothing of the device",
        _DIFFERENTIATION,
        (("not is_eager_on_cpu(used) or ", ""),),
        "contracts/test_meta_device.py",
    ),
)


def broken(text: str, replacements: tuple[tuple[str, str], ...]) -> str:
    """`text` with each piece, which must stand there once, replaced."""
    for old, new in replacements:
        if text.count(old) != 1:
            raise ValueError(f"expected once, found {text.count(old)} times: {old!r}")
        text = text.replace(old, new)
    return text
