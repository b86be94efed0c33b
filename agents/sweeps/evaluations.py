"""Batches of an evaluation as cells."""

from collections.abc import Iterator, Sequence

import numpy as np

from autoloss_gym.core.task import Task

from ..environments import EnvironmentMaker, MakeEnv
from ..evaluation.batches import Batch, bytes_of_a_run
from ..evaluation.store import EpisodeStore
from .cells import EvaluationCell, place_of
from .crews import Crew, play_cells
from .recipes import Recipes, files_of

_PROCESS_BYTES = 400 << 20  # of Python and PyTorch, before the first run
_NAMED = 3  # policies of a cell
_COPIES = 3  # of a state at once: with its gradients, and what an update leaves


def memory_of(task: Task, num_runs: int) -> int:
    """Bytes that a process may need for so many runs, from what the state of one has."""
    return _PROCESS_BYTES + num_runs * _COPIES * bytes_of_a_run(task)


class CellPlayer:
    """Plays batches of policies as cells, wherever the crew plays.

    Args:
        crew: who plays.
        recipes: of the policies.
        deterministic: whether trained policies take their most probable action.
    """

    def __init__(self, crew: Crew, recipes: Recipes, deterministic: bool) -> None:
        self._crew = crew
        self._recipes = recipes
        self._deterministic = deterministic

    def __call__(
        self, batches: Sequence[Batch], make_env: MakeEnv, store: EpisodeStore | None
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """The figures of each batch and its number, in the order in which they are finished."""
        assert isinstance(make_env, EnvironmentMaker)
        assert store is not None
        missing = []
        for number, batch in enumerate(batches):
            arrays = store.load(batch.policies, batch.seeds)
            if arrays is None:
                missing.append(number)
            else:
                yield number, arrays
        if not missing:
            return
        task = make_env(num_envs=1).task
        cells = [self._cell(batches[number], make_env, store, task) for number in missing]
        found: dict[int, dict[str, np.ndarray]] = {}

        def check(index: int, content: bytes | None) -> None:
            batch = batches[missing[index]]
            if content is not None:
                store.save_content(cells[index].digest, content)
            arrays = store.load(batch.policies, batch.seeds)
            if arrays is None:
                raise OSError("its result is damaged, or has not come")
            found[index] = arrays

        contents = self._recipes.contents
        with place_of(store.folder) as place:
            for index in play_cells(cells, place, self._crew, contents, check):
                yield missing[index], found.pop(index)

    def _cell(
        self, batch: Batch, maker: EnvironmentMaker, store: EpisodeStore, task: Task
    ) -> EvaluationCell:
        recipes = [self._recipes.of(policy) for policy in batch.policies]
        labels = [policy.label for policy in batch.policies]
        others = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        problems = f"problems {batch.seeds[0]} to {batch.seeds[-1]} of {maker.arguments['split']}"
        return EvaluationCell(
            name=f"{', '.join(labels[:_NAMED])}{others} on {problems}",
            digest=store.digest(batch.policies, batch.seeds),
            files=files_of(recipes),
            memory=memory_of(task, batch.num_runs),
            env=maker.id,
            env_kwargs=maker.arguments,
            data=task.data_digest,
            deterministic=self._deterministic,
            policies=recipes,
            seeds=batch.seeds.tolist(),
        )
