"""What all that is compared scores on the same unseen problems."""

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.environments import EnvironmentMaker
from agents.evaluation.costs import training_runs
from agents.evaluation.rollout import Episodes, here, in_processes, rollout
from agents.evaluation.selection import Choice, choose
from agents.evaluation.store import EpisodeStore
from agents.policies.grammar import parse_specification
from agents.policies.policy import Candidates, Setting
from agents.policies.trained.trained_policy import TrainedPolicy
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.tasks.translation.multi_task_translation import MultiTaskTranslation
from studies.translation.settings import (
    CONSTANT,
    ENV,
    OPEN_LOOP,
    PARTS,
    STATIC,
    TITLES,
    UNTRAINED,
    Study,
)
from studies.translation.trainings import OpenLoopSearch, Training, in_logs


@dataclass(frozen=True)
class Entrant:
    """One that is compared.

    Args:
        name: in the settings.
        title: in tables.
        perplexities: on the test part, at the best validation, (trainings, problems), float64.
        exact: shares of sentences that are translated rightly, of the same shape.
        shares: mean share of each pair at every update, (updates, pairs).
        training_runs: what one training, search or choice has cost before.
        note: what was chosen.
    """

    name: str
    title: str
    perplexities: np.ndarray
    exact: np.ndarray
    shares: np.ndarray
    training_runs: int = 0
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Plays policies on problems of a budget, each batch once.

    Args:
        study: what is compared.
        budget: updates of a run.
        folder: of the budget; keeps finished batches.
        pool: processes that play; None for this one.
        announce: told of each policy that has been played.
    """

    study: Study
    budget: int
    folder: Path
    pool: Executor | None
    announce: Callable[[str], None] = lambda what: None

    @functools.cached_property
    def task(self) -> MultiTaskTranslation:
        """What is trained."""
        task = self._maker("test")(num_envs=1).task
        assert isinstance(task, MultiTaskTranslation)
        return task

    @functools.cached_property
    def data_ratio(self) -> str:
        """Training sentences of the three tasks."""
        return ":".join(str(count) for count in self.task.source.counts)

    def candidates(self, name: str) -> list[Policy]:
        """Policies of one that is not trained, of which validation problems choose one."""
        texts = [UNTRAINED[name].format(data=self.data_ratio)]
        if name == CONSTANT:
            texts = [f"random:{','.join(map(str, each))}" for each in constant_probabilities()]
        found: list[Policy] = []
        for text in texts:
            built = parse_specification(text).build(Setting(self.task, ENV))
            found += built.policies if isinstance(built, Candidates) else [built]
        return found

    def static(self) -> tuple[list[Entrant], str]:
        """All that observe nothing, and the name of the one that validation problems favour."""
        fields = [self.candidates(name) for name in STATIC]
        minimize = self.task.score_metrics[0].minimize
        seeds = np.arange(self.study.choosing)
        choices = choose(fields, self._on_validation, seeds, minimize)
        entrants = [
            self._chosen(name, choice, len(field))
            for name, choice, field in zip(STATIC, choices, fields, strict=True)
        ]
        best = min(zip(choices, STATIC, strict=True), key=lambda each: each[0].mean)
        return entrants, best[1]

    def untrained(self, name: str) -> Entrant:
        """One that reacts, and that no training precedes."""
        return self._entrant(name, self.candidates(name))

    def trained(self, trainings: Sequence[Training], searched_before: int = 0) -> Entrant:
        """A learner with all its trainings.

        Args:
            trainings: of different seeds.
            searched_before: training runs for the base that another learner has searched.
        """
        make_env = self._maker("test")
        policies, costs = [], []
        for training in trainings:
            policy = TrainedPolicy(training.own_folder, ENV)
            envs = make_env(num_envs=1, **policy.env_arguments)
            policy.load(envs)
            policies.append(policy)
            costs.append(training_runs(policy, envs) + searched_before)
        return self._entrant(trainings[0].name, policies, max(costs))

    def open_loop(self, searches: Sequence[OpenLoopSearch]) -> Entrant:
        """The schedules that several searches have found."""
        policies = [each.policy(self.task) for each in searches]
        return self._entrant(OPEN_LOOP, policies, max(each.cost() for each in searches))

    def _chosen(self, name: str, choice: Choice, candidates: int) -> Entrant:
        if candidates == 1:
            return self._entrant(name, [choice.policy])
        found = choice.policy.label.removeprefix(UNTRAINED[name]).lstrip(":,")
        note = f"{found.replace(',', ' : ')} of {candidates}"
        return self._entrant(name, [choice.policy], choice.training_runs, note)

    def _entrant(
        self, name: str, policies: Sequence[Policy], cost: int = 0, note: str = ""
    ) -> Entrant:
        played = self._played(policies, "test", np.arange(self.study.problems))
        found = {}
        for figure in ("best_score", "exact"):
            values = [each.figures[figure] for each in played]
            found[figure] = np.stack(values).astype(np.float64)
        shares = np.mean([each.shares for each in played], axis=0)
        title = TITLES[name].format(data=self.data_ratio)
        return Entrant(name, title, found["best_score"], found["exact"], shares, cost, note)

    def _on_validation(self, policies: Sequence[Policy], seeds: np.ndarray) -> list[Episodes]:
        return in_logs(self._played(policies, "validation", seeds))

    def _played(self, policies: Sequence[Policy], split: str, seeds: np.ndarray) -> list[Episodes]:
        """Every policy by itself, so that none is played anew where others are added."""
        make_env = self._maker(split)
        store = EpisodeStore(self.folder / "episodes", split, self.task)
        batches = -(-len(seeds) // self.study.num_envs)
        if batches > 1:
            batches += batches % 2  # as many for each of two processes
        found = []
        for policy in policies:
            found += rollout(
                [policy],
                make_env,
                seeds,
                store=store,
                play_batches=in_processes(self.pool) if self.pool else here,
                most_runs=-(-len(seeds) // batches),
            )
            self.announce(f"{self.budget} updates, {split}: {policy.label} played")
        return found

    def _maker(self, split: str) -> EnvironmentMaker:
        return EnvironmentMaker(ENV, {**self.study.arguments(self.budget), "split": split})


def constant_probabilities() -> list[tuple[float, float, float]]:
    """Multiples of a fifth with sum 1, of which translation has at least one."""
    found = []
    for first, second in itertools.product(range(1, PARTS + 1), range(PARTS)):
        third = PARTS - first - second
        if third >= 0:
            found.append((first / PARTS, second / PARTS, third / PARTS))
    return found
