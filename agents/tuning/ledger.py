"""Who plays which trial: none is lost, and none is played twice, whenever a worker is killed."""

import secrets
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from .locks import FileLock
from .settings import Settings
from .space import Space

WORKERS = "workers"
_WORKER = "worker"  # attributes of a trial
_ERROR = "error"
_RETRY_OF = "retry_of"
_LOSSES = "losses"
_MOST_LOSSES = 3  # settings that end their process, by too much memory, would do so for ever
_COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
_UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


class Ledger:
    """Hands the trials of a study out to this worker; the others do the same in their processes.

    A worker holds the lock of a file of its own as long as its process lives. Trials whose worker's
    lock is free have lost their process: they fail, and are handed out again.

    Args:
        study: of all workers.
        settings: of the study.
        space: of its settings.
        folder: of the study.
    """

    def __init__(self, study: optuna.Study, settings: Settings, space: Space, folder: Path) -> None:
        self._study = study
        self._settings = settings
        self._space = space
        self._workers = folder / WORKERS
        self._workers.mkdir(exist_ok=True)
        self._turn = FileLock(folder / "turn.lock")
        self._name = secrets.token_hex(8)
        self._own = FileLock(self._path(self._name))

    def __enter__(self) -> "Ledger":
        self._own.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._own.release()
        self._own.path.unlink(missing_ok=True)

    def claim(self) -> optuna.Trial | None:
        """The next trial, which is then this worker's; None if all are played or being played."""
        with self._turn:  # between looking and taking, no other worker does either
            self._return_lost()
            if len(taken(self._study)) >= self._settings.trials:
                return None
            trial = self._study.ask(self._space.distributions())
            trial.set_user_attr(_WORKER, self._name)
            return trial

    def is_over(self) -> bool:
        """Whether no trial is being played or waits."""
        with self._turn:
            self._return_lost()
            return not self._study.get_trials(deepcopy=False, states=_UNFINISHED)

    def finish(self, trial: optuna.Trial, score: float) -> None:
        """Record the score of a trial."""
        self._study.tell(trial, score)

    def prune(self, trial: optuna.Trial) -> None:
        """Record that a trial has ended early."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: optuna.Trial, reason: str) -> None:
        """Record why a trial has no score."""
        trial.set_user_attr(_ERROR, reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def give_back(self, trial: optuna.Trial) -> None:
        """Have others play a trial that this worker will not end, because it is interrupted."""
        with self._turn:
            self._enqueue(trial.number, trial.params, trial.user_attrs.get(_LOSSES, 0))
            trial.set_user_attr(_LOSSES, 0)  # this was none
            self._study.tell(trial, state=TrialState.FAIL)

    def _return_lost(self) -> None:
        """Have trials whose process is dead fail, and others wait with the same settings."""
        trials = self._study.get_trials(deepcopy=False)
        retried = {each.user_attrs.get(_RETRY_OF) for each in trials}
        for trial in trials:
            if trial.state != TrialState.RUNNING or self._is_alive(trial):
                continue
            losses = trial.user_attrs.get(_LOSSES, 0) + 1
            parameters = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            is_new = trial.number not in retried and not trial.user_attrs.get(_ERROR)
            if is_new and parameters and losses < _MOST_LOSSES:
                self._enqueue(trial.number, parameters, losses)
            # In this order: a kill between the two is seen the next time.
            self._study.tell(trial.number, state=TrialState.FAIL)

    def _enqueue(self, number: int, parameters: dict[str, Any], losses: int) -> None:
        """Have another trial wait with the settings of that one."""
        attributes = {_RETRY_OF: number, _LOSSES: losses}
        self._study.enqueue_trial(parameters, user_attrs=attributes)

    def _is_alive(self, trial: FrozenTrial) -> bool:
        name = trial.user_attrs.get(_WORKER)
        if name == self._name:
            return True
        if not isinstance(name, str) or not name.isalnum():  # killed before it was noted
            return False
        path = self._path(name)
        if not path.exists():
            return False
        lock = FileLock(path)
        if not lock.try_to_acquire():
            return True
        lock.release()
        path.unlink(missing_ok=True)
        return False

    def _path(self, name: str) -> Path:
        return self._workers / f"{name}.lock"


def error_of(trial: FrozenTrial) -> str | None:
    """Why a trial has failed; None where another one has taken its place, or it has not."""
    if trial.state == TrialState.FAIL and trial.user_attrs.get(_LOSSES, 0) >= _MOST_LOSSES - 1:
        return f"its process was killed, as {_MOST_LOSSES - 1} before it with the same settings"
    return trial.user_attrs.get(_ERROR)


def taken(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that are played or being played: not those that wait, or whose process was lost."""
    trials = study.get_trials(deepcopy=False)
    return [each for each in trials if each.state in _COUNTED or error_of(each)]
