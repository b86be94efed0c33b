"""Ranks of rules over several tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from agents.evaluation.statistics import Estimate
from studies.markdown import interval, table

_REPLICATES = 2000


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of rules, 1 for the best.

    Args:
        rules: their texts, (rules).
        benches: names, (benches).
        kinds: of the task of each bench; benches of one kind count together as one task.
        of_problems: for each bench the ranks on every problem, (rules, problems).
    """

    rules: Sequence[str]
    benches: Sequence[str]
    kinds: Sequence[str]
    of_problems: Sequence[np.ndarray]

    def of_benches(self) -> np.ndarray:
        """Mean over the problems, (benches, rules)."""
        return np.stack([each.mean(axis=1) for each in self.of_problems])

    def averages(self) -> list[Estimate]:
        """Of each rule, the mean over tasks with a 95 % interval over tasks and problems."""
        value = self._over_tasks(self.of_benches(), self._tasks)
        samples = self._resampled()
        low, high = np.quantile(samples, [0.025, 0.975], axis=0)
        return [Estimate(*map(float, each)) for each in zip(value, low, high, strict=True)]

    def winner(self) -> tuple[str, list[str]]:
        """The rule with the best average, and those that cannot be told apart from it.

        These are the rules whose difference in average rank has an interval with 0 in it.
        """
        samples = self._resampled()
        best = int(self._over_tasks(self.of_benches(), self._tasks).argmin())
        low = np.quantile(samples - samples[:, best : best + 1], 0.025, axis=0)
        alike = [rule for rule, end in zip(self.rules, low, strict=True) if end <= 0]
        return self.rules[best], [rule for rule in alike if rule != self.rules[best]]

    @property
    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(self.kinds))

    def _over_tasks(self, of_benches: np.ndarray, tasks: Sequence[str]) -> np.ndarray:
        kinds = np.array(self.kinds)
        found: np.ndarray = np.mean(
            [of_benches[kinds == task].mean(axis=0) for task in tasks], axis=0
        )
        return found

    def _resampled(self) -> np.ndarray:
        """Bootstrap samples of the averages, (replicates, rules): tasks, and problems in each."""
        generator = np.random.default_rng(0)
        samples = []
        for _ in range(_REPLICATES):
            means = []
            for ranks in self.of_problems:
                drawn = generator.integers(ranks.shape[1], size=ranks.shape[1])
                means.append(ranks[:, drawn].mean(axis=1))
            tasks = generator.choice(self._tasks, size=len(self._tasks))
            samples.append(self._over_tasks(np.stack(means), tasks.tolist()))
        return np.stack(samples)


def ranked(played: Mapping[str, Mapping[str, np.ndarray]], kinds: Mapping[str, str]) -> Ranks:
    """Ranks of the rules that were played on every bench; equal errors share their mean rank.

    On each bench they are of the first problems, which all rules have met.

    Args:
        played: errors (problems,) of each rule, by bench and rule.
        kinds: of the task of each bench.
    """
    first, *others = played.values()
    rules = [rule for rule in first if all(rule in each for each in others)]
    of_problems = []
    for errors in played.values():
        met = min(len(errors[rule]) for rule in rules)
        stacked = np.stack([errors[rule][:met] for rule in rules])
        of_problems.append(stats.rankdata(stacked, axis=0))
    return Ranks(rules, list(played), [kinds[name] for name in played], of_problems)


def rank_table(ranks: Ranks, titles: Mapping[str, str]) -> str:
    """A line for each rule, the best average first; under it, which cannot be told apart."""
    averages = ranks.averages()
    of_benches = ranks.of_benches()
    lines = []
    for place in np.argsort([each.value for each in averages], kind="stable"):
        means = [f"{mean:.1f}" for mean in of_benches[:, place]]
        lines.append([titles[ranks.rules[place]], interval(averages[place], ".1f"), *means])
    header = ["rule", "average rank", *ranks.benches]
    return f"{table(header, lines)}\n\n{_verdict(ranks, titles)}"


def _verdict(ranks: Ranks, titles: Mapping[str, str]) -> str:
    best, alike = ranks.winner()
    of_benches = ranks.of_benches()
    firsts = {ranks.rules[place] for place in of_benches.argmin(axis=1)}
    told = ", ".join(titles[rule] for rule in alike) or "none"
    first = ", ".join(titles[rule] for rule in ranks.rules if rule in firsts)
    return (
        f"Best average rank: {titles[best]}. Cannot be told apart from it by a 95 % interval over "
        f"{len(set(ranks.kinds))} tasks and their problems: {told}. First on some bench: {first}."
    )
