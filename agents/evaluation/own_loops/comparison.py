"""`autoloss_gym.compare`: rules on a training loop of the user's, paired by seed."""

import contextlib
import math
import multiprocessing
import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Any

from autoloss_gym.tools.files import locked
from autoloss_gym.tools.names import shown, unknown

from ...progress import Progress, show_progress
from ..workers import worker_processes
from .record import Record
from .result import LoopComparison
from .rules import Named, named_rules
from .runs import Run, Train, play
from .source import code_digest
from .tabulate import tabulated

Job = tuple[Named, int]

_MOST_SEED = 2**32 - 1  # that NumPy takes


def compare(
    train: Train,
    rules: Iterable[Any],
    seeds: int | Iterable[int] = 20,
    *,
    minimize: bool = True,
    output: str | Path | None = None,
    num_workers: int = 1,
    reference: str | None = None,
    worst: float | None = None,
) -> LoopComparison:
    """Compare loss-weighting rules on a training loop of your own, paired by seed.

        result = autoloss_gym.compare(train, rules=["equal", "softadapt", GradNorm()], seeds=20)
        print(result)

    Before each call the generators of torch, NumPy and Python's `random` are seeded with the seed;
    afterwards they are as they were. What `train` draws by them, such as a model's first
    parameters, is then the same for all rules.

    Args:
        train: called as `train(rule, seed)`; returns the score, or a dict with "score" and other
            figures, whose means the table shows too. The score should be measured on data that
            `train` has not chosen by. NaN or an infinite score is a run that failed.
        rules: what is compared. Each is a text of the command line ("equal", "softadapt:beta=0.1",
            "fixed:1,10", "my_module:MyRule"), a `WeightingRule`, or a dict {name: text, rule, or
            any other object}, such as a scheduler, or None for no rule. Each call of `train` gets a
            copy of its own; that of a rule has been reset, and draws by the seed.
        seeds: numbers for `train`, or how many of them from 0 on.
        minimize: whether a low score is good.
        output: folder that keeps every finished run in runs.jsonl, and at the end what
            `result.save` writes. The same call goes on from it after a kill, and more seeds or
            rules cost only what is new. Runs of a rule whose arguments are others now are made
            again; where the code of `train` is another, the folder is refused.
        num_workers: processes that call `train`, with one PyTorch thread each. `train` and the
            rules must then be such that pickle can send them: functions of a module.
        reference: name of the rule that the others are compared with. Default: the best of those
            that read no loss.
        worst: the score that a failed run counts as. Default: the worst that any run had.

    Returns:
        Scores, table and verdict, printed by `print` and written by `save`.

    Raises:
        ValueError: an argument is not as said here, or every run failed.
        TrainError: `train` raised something; its error is chained. Finished runs are kept.
    """
    _check_main()
    named = named_rules(rules)
    numbers = _seeds(seeds)
    _check(train, named, num_workers, reference)
    _check_worst(worst)
    function = _name(train)
    with _folder(output) as folder:
        record = Record(folder, function, code_digest(train))
        jobs = [(each, seed) for seed in numbers for each in named]
        _make(train, jobs, record, num_workers, folder)
        runs = {}
        for each in named:
            found = [record.get(each.label, each.key, seed) for seed in numbers]
            runs[each.label] = [run for run in found if run is not None]
        result = tabulated(named, runs, function, minimize, reference, worst)
        if folder:
            result.save(folder)
    return result


def _name(train: Any) -> str:
    """Module and function, the same whether the module is imported or run as a script."""
    module = getattr(train, "__module__", None)
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        module = Path(file).stem if file else None
    name = getattr(train, "__qualname__", type(train).__name__)
    return f"{module}.{name}" if module else name


def _check_main() -> None:
    """A script without a guard calls this again in every worker that it starts."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        print(_GUARD, file=sys.stderr)
        raise SystemExit(1)


_GUARD = (
    "compare(num_workers=…) starts processes that import this script: put the call under "
    "if __name__ == '__main__':"
)


def _seeds(seeds: Any) -> list[int]:
    numbers = range(seeds) if isinstance(seeds, int) and not isinstance(seeds, bool) else seeds
    try:
        found = [seed.__index__() for seed in numbers]
    except (TypeError, AttributeError):
        found = []
    good = all(0 <= seed <= _MOST_SEED for seed in found) and len(set(found)) == len(found)
    if not (found and good):
        raise ValueError(
            f"seeds={shown(seeds)}: expected how many, or different whole numbers from 0 to 2³² − 1"
        )
    return found


def _check(train: Any, named: Sequence[Named], num_workers: Any, reference: Any) -> None:
    if not callable(train):
        raise ValueError(f"train={shown(train)}: expected a function train(rule, seed) → score")
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 1:
        raise ValueError(f"num_workers={shown(num_workers)}: expected a whole number from 1 on")
    labels = [each.label for each in named]
    if reference is not None and reference not in labels:
        raise ValueError(unknown("reference", reference, labels))
    for each in named:
        try:
            each.fresh(0)
        except Exception as error:
            raise ValueError(
                f"rule {each.label!r} cannot be copied for each run ({error}): make it in train"
            ) from error
    if num_workers > 1:
        _check_pickle("train", train)
        for each in named:
            _check_pickle(f"rule {each.label!r}", each.rule)


def _check_worst(worst: Any) -> None:
    is_number = isinstance(worst, int | float) and not isinstance(worst, bool)
    if worst is not None and not (is_number and math.isfinite(worst)):
        raise ValueError(f"worst={shown(worst)}: expected a finite number")


def _check_pickle(what: str, value: Any) -> None:
    try:
        pickle.dumps(value)
        if _was_typed_in(value):
            raise TypeError("it was typed in, and no file has it")
    except Exception as error:
        raise ValueError(
            f"{what} cannot be sent to other processes ({error}): "
            "define it in a module, or take num_workers=1"
        ) from None


def _was_typed_in(value: Any) -> bool:
    """Whether pickle would name something that only this process has."""
    parts = (value, type(value), getattr(value, "func", None))
    modules = {getattr(part, "__module__", None) for part in parts}
    return "__main__" in modules and not hasattr(sys.modules["__main__"], "__file__")


@contextlib.contextmanager
def _folder(output: str | Path | None) -> Iterator[Path | None]:
    """The folder of the runs, which no other process uses meanwhile."""
    if output is None:
        yield None
        return
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        yield folder


def _make(
    train: Train, jobs: Sequence[Job], record: Record, num_workers: int, folder: Path | None
) -> None:
    """Make the runs that are not there yet, all rules of a seed before the next seed."""
    missing = [
        (named, seed) for named, seed in jobs if not record.get(named.label, named.key, seed)
    ]
    if not missing:
        return
    try:
        with show_progress("runs", lines=10) as progress:
            _play_all(train, missing, record, min(num_workers, len(missing)), progress)
    except ChildProcessError:
        raise ChildProcessError(
            "a worker ended before its run: perhaps the memory was full, then take fewer "
            f"num_workers{_kept(record, folder)}"
        ) from None
    except BaseException as error:
        if folder and len(record):
            error.add_note(_kept(record, folder).removeprefix("; "))
        raise


def _kept(record: Record, folder: Path | None) -> str:
    if folder is None:
        return ""
    return f"; {len(record)} finished runs are kept in {folder}: the same call goes on from there"


def _play_all(
    train: Train, jobs: Sequence[Job], record: Record, num_workers: int, progress: Progress
) -> None:
    stage = "comparing rules"
    progress.update(stage, 0, len(jobs))
    with worker_processes(num_workers) as pool:
        for done, run in enumerate(_finished(train, jobs, record, pool), 1):
            progress.update(stage, done, len(jobs), f"{run.label} {run.score:.4g}")


def _finished(
    train: Train, jobs: Sequence[Job], record: Record, pool: Executor | None
) -> Iterator[Run]:
    """Runs as they are finished; each is recorded before it comes."""
    if pool is None:
        for named, seed in jobs:
            run = play(train, named, seed)
            record.add(run)
            yield run
        return
    waiting: set[Future[Run]] = {pool.submit(play, train, named, seed) for named, seed in jobs}
    try:
        for future in as_completed(list(waiting)):
            run = future.result()
            waiting.discard(future)
            record.add(run)
            yield run
    finally:
        for future in waiting:  # where one failed, or Ctrl-C came, others may be finished
            if future.done() and not future.cancelled() and future.exception() is None:
                record.add(future.result())
