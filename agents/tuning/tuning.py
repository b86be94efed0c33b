"""The work of `tune`, once its arguments are known to be good; imports PyTorch and Optuna."""

import secrets
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import optuna

from autoloss_gym.core.task import Task
from autoloss_gym.tools.files import write_text

from ..environments import check_data
from ..interruption import goes_on
from ..learners.learner import make_learner
from ..progress import Progress, show_progress
from ..run_folders import new_run_folder, removed_if_nothing_is_kept
from .confirmation import confirm
from .ledger import Ledger, taken
from .locks import FileLock
from .report import TABLE, best_trials, save_best, table
from .settings import Settings, load_settings
from .space import Space
from .storage import create_study, in_reach, load_study
from .trials import Failed, play, scorer

TRIALS = "trials"


def begin(settings: Settings, output: str, storage: str | None, joining: str) -> None:
    """Make a study and work on it until its end.

    Args:
        settings: of the study, without the digest of its data.
        output: where its folder is made.
        storage: as `--storage` gives it.
        joining: the command by which another worker joins, which the folder follows.
    """
    task = _task(settings)
    configuration = replace(settings.configuration, data=task.data_digest)
    name = f"{configuration.algo}-{secrets.token_hex(6)}"
    settings = replace(settings, configuration=configuration, name=name)
    folder = new_run_folder(output, configuration.algo, configuration.env)
    with removed_if_nothing_is_kept(folder, f"{TRIALS}/*"):
        space = Space(configuration)
        minimize = task.score_metrics[0].minimize
        study = create_study(settings, folder, storage, space.start, minimize)
        settings.save(folder)  # from now on others can join
        how = f"{joining} {shlex.quote(str(folder))}"
        print(f"tuning {configuration.algo} on {configuration.env} in {folder}", file=sys.stderr)
        print(f"more workers join by {how}", file=sys.stderr)
        _work(study, settings, space, folder, how)


def join(folder: Path, storage: str | None, joining: str) -> None:
    """Work on the study of a folder until its end.

    Args:
        folder: of the study.
        storage: as `--storage` gives it.
        joining: as in `begin`.
    """
    settings = load_settings(folder)
    task = _task(settings)
    check_data(folder, settings.configuration.data, task)
    study = load_study(settings, folder, storage)
    space = Space(settings.configuration)
    count = f"{len(taken(study))} of {settings.trials} trials"
    print(f"joining the study in {folder}, which holds {count}", file=sys.stderr)
    _work(study, settings, space, folder, f"{joining} {shlex.quote(str(folder))}")


def _task(settings: Settings) -> Task:
    """The task of the trainings; ValueError where algorithm and environment do not fit."""
    return make_learner(settings.configuration).task


@in_reach()
def _work(
    study: optuna.Study, settings: Settings, space: Space, folder: Path, joining: str
) -> None:
    def said() -> str:
        count = len(taken(study))
        return f"{folder} holds {count} of {settings.trials} trials: go on with {joining}"

    goes_on(said)
    with Ledger(study, settings, space, folder) as ledger:
        with show_progress("trials", lines=settings.trials) as progress:
            _play_trials(study, settings, space, folder, ledger, progress)
        if not ledger.is_over():
            print("other workers play the last trials, and the last of them ends the study")
            return
    confirming = FileLock(folder / "confirmation.lock")
    if not confirming.try_to_acquire():
        print("another worker ends the study")
        return
    try:
        _end(study, settings, space, folder)
    finally:
        confirming.release()


def _play_trials(
    study: optuna.Study,
    settings: Settings,
    space: Space,
    folder: Path,
    ledger: Ledger,
    progress: Progress,
) -> None:
    """Play what no other worker plays."""
    judge = scorer(settings.configuration, first=0, count=settings.episodes)
    stage = f"tuning {settings.configuration.algo}"
    while trial := ledger.claim():
        done = len(taken(study)) - 1
        progress.update(stage, done, settings.trials, _note(study))
        configuration = replace(
            settings.configuration, hyperparameters=space.hyperparameters(trial.params)
        )
        own = folder / TRIALS / str(trial.number)
        # The values to begin with are always played to the end, so that others are compared.
        may_prune = bool(space.changes(trial.params))
        try:
            ledger.finish(trial, play(trial, configuration, own, judge, may_prune))
        except optuna.TrialPruned:
            ledger.prune(trial)
        except Failed as error:
            ledger.fail(trial, str(error))
            print(f"trial {trial.number} has failed: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            ledger.give_back(trial)
            raise
        progress.update(stage, len(taken(study)), settings.trials, _note(study))


def _note(study: optuna.Study) -> str:
    best = best_trials(study)
    return f"best {best[0].value:.4g} of trial {best[0].number}" if best else ""


def _end(study: optuna.Study, settings: Settings, space: Space, folder: Path) -> None:
    """Print and keep what was found, and whether it is better than what was begun with."""
    lines = [table(study, space)]
    found = best_trials(study)
    if not found:
        raise ValueError(f"no trial has a score, see {folder / TRIALS}:\n{lines[0]}")
    best = found[0]
    hyperparameters = space.hyperparameters(best.params)
    print(lines[0])
    remark = f"Trial {best.number} of {settings.trials}: mean best_score {best.value:.4g} on "
    remark += f"{settings.episodes} validation problems."
    path = save_best(folder, settings, hyperparameters, remark)
    if not space.changes(best.params):
        lines.append("No trial was better than the settings to begin with.")
    elif settings.confirm_seeds:
        minimize = study.direction == optuna.study.StudyDirection.MINIMIZE
        result = confirm(settings, hyperparameters, folder, minimize)
        lines.append(result if isinstance(result, str) else result.sentence())
    else:
        lines.append("The best settings were not compared with new seeds (--confirm-seeds 0).")
    for line in lines[1:]:
        print(line)
    write_text(folder / TABLE, "\n".join(lines) + "\n")
    print(folder / TABLE)
    print(path)
