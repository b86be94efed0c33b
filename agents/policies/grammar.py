"""Policies as they are written on the command line; imports nothing slow."""

import glob
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloss_gym.tools.names import unknown

from ..configuration import ALGORITHMS

RULES = ("s1", "s2", "s3")
HELP = """\
round_robin          every pair in turn (the same as 1:1)
K:1, 1:K, …          K updates of the first pair, then one of the second, and so on
ratios               the best of 1:1, 1:K and K:1 for K = 3, 5, 7, 9, 11 on validation problems; for two pairs
always:LOSS          one pair only, named by its loss
random:P             the first pair with probability P, else one of the others; random:P1,P2,… for all probabilities
random               the best random:P of a grid on validation problems
fixed:R              all losses at once, weighed 1 : R (R times the task's own coefficient); fixed:W1,W2,… for all weights
grid, grid:N         fixed:R with the best of N values of R (default 20, with three pairs 13 × 13) on validation problems
grid_each, …:N       the best of N values of R on each problem's own validation part: N trainings a problem
open_loop, …:K       probabilities that change with progress, linear between K knots (default 4), searched on training problems
without_penalty      the first pair only, trained on the training and the validation part together (AutoLoss: W/O L1)
s1, s2, s3, …:T      penalise where (A − B) / B > T, else fit (AutoLoss, §5.1.1); s1: loss on validation against training, s2:
                     penalty against loss on validation, s3: their gradient norms; without T, the best of 24 on validation
balance, balance:R   trains whoever is losing: the pair whose latest loss is the largest, the first taken R times (default 1)
softadapt            SoftAdapt as loss weights (Heydari et al.); add :normalized ,loss_weighted ,beta=B, and for the slopes
                     ,order=K (a difference of order 1 to 4) or ,least_squares=K (a line through K values)
dwa                  Dynamic Weight Average (Liu et al.); add :temperature=T ,window=K
uncertainty          learned uncertainties (Kendall et al.); add :learning_rate=R
gradnorm             GradNorm (Chen et al.), with the norms by each pair's own parameters; add :alpha=A ,learning_rate=R
equal                equal weights
random_weights       the softmax of normal draws, new at every step (Lin et al.)
  each of these six  add :pair to draw a pair with the weights; ,every=K to keep them for K steps; ,scale=sum or
                     ,scale=count for weights that sum to 1 or to the number of losses
ALGO:RUN [,RUN …]    a policy trained by train_agent.py: its run folder, or a pattern for those of several training seeds
ALGO:FILE.zip        a model that Stable-Baselines3 has saved; reading it can run code, so it needs --trust-checkpoint"""


@dataclass(frozen=True)
class Specification:
    """A policy's kind and what follows the colon."""

    kind: str
    argument: str
    text: str

    @property
    def zip_file(self) -> Path | None:
        """The model of Stable-Baselines3 that it names, if it names one."""
        return (
            Path(self.argument)
            if self.kind in ALGORITHMS and self.argument.endswith(".zip")
            else None
        )


def parse_specification(text: str) -> Specification:
    """Read one policy; ValueError if there is no such kind, its argument is bad, or a folder is
    missing.
    """
    kind, _, argument = text.partition(":")
    if (
        kind.isdigit()
        and all(part.isdigit() for part in argument.split(":"))
        and any(map(int, text.split(":")))
    ):
        return Specification("ratio", text, text)
    if kind not in (*_CHECKS, *ALGORITHMS):
        raise ValueError(unknown("policy", kind, (*_CHECKS, *ALGORITHMS, "1:1")))
    specification = Specification(kind, argument, text)
    if specification.zip_file:
        if kind == "reinforce" or not specification.zip_file.is_file():
            raise ValueError(
                f"policy {text!r}: expected a file that an algorithm of Stable-Baselines3 has saved"
            )
    elif kind in ALGORITHMS:
        run_folders(specification)
    else:
        expected = _CHECKS[kind]
        try:
            good = expected[1](argument)
        except ValueError:
            good = False
        if not good:
            raise ValueError(f"policy {text!r}: expected {expected[0]}")
    return specification


def run_folders(specification: Specification) -> list[Path]:
    """The run folders that a trained policy names, sorted."""
    folders = [
        Path(found)
        for part in specification.argument.split(",")
        for found in sorted(glob.glob(part))
    ]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        raise ValueError(
            f"policy {specification.text!r}: there is no folder {specification.argument!r}; "
            f"expected {specification.kind}:RUN with a run folder of train_agent.py"
        )
    return folders


def weighting_options(kind: str, argument: str) -> dict[str, Any]:
    """Options of a weighting rule: words and name=value, divided by commas; ValueError for one that
    it does not have.
    """
    options: dict[str, Any] = {}
    known = {**WEIGHTINGS[kind], **_ANY_WEIGHTING}
    for part in filter(None, argument.split(",")):
        name, equals, value = part.partition("=")
        if name not in known or name in options or (known[name] is _word) == bool(equals):
            raise ValueError(part)
        options[name] = known[name](value)
    if {"order", "least_squares"} <= options.keys():
        raise ValueError(argument)
    return options


def _word(text: str) -> bool:
    return True


def _between(
    least: float, most: float, convert: Callable[[str], float] = float
) -> Callable[[str], float]:
    """Reads a number from `least` to `most`."""

    def read(text: str) -> float:
        if not least <= convert(text) <= most:
            raise ValueError(text)
        return convert(text)

    return read


def _scale(text: str) -> str:
    if text not in ("sum", "count"):
        raise ValueError(text)
    return text


WEIGHTINGS: dict[str, dict[str, Callable[[str], Any]]] = {
    "softadapt": {
        "normalized": _word,
        "loss_weighted": _word,
        "beta": _between(-1e6, 1e6),
        "order": _between(1, 4, int),
        "least_squares": _between(2, 10_000, int),
    },
    "dwa": {"temperature": _between(1e-6, 1e6), "window": _between(1, 10_000, int)},
    "uncertainty": {"learning_rate": _between(1e-9, 1e3)},
    "gradnorm": {"alpha": _between(0, 100), "learning_rate": _between(1e-9, 1e3)},
    "equal": {},
    "random_weights": {},
}
_ANY_WEIGHTING: dict[str, Callable[[str], Any]] = {
    "pair": _word,
    "every": _between(1, 1_000_000, int),
    "scale": _scale,
}


def _weighting_check(kind: str) -> tuple[str, Callable[[str], bool]]:
    """What the options of a rule look like, and whether these do."""
    forms = {
        "beta": "beta=B",
        "order": "order=1 to 4",
        "least_squares": "least_squares=K of at least 2",
    }
    named = [
        forms.get(name, name if read is _word else f"{name}=…")
        for name, read in (WEIGHTINGS[kind] | _ANY_WEIGHTING).items()
    ]
    return (
        f"{kind}, or {kind}: with some of {', '.join(named)}",
        lambda text: weighting_options(kind, text) is not None,
    )


def _is_size(text: str) -> bool:
    return not text or int(text) >= 2


def _is_distribution(values: list[float]) -> bool:
    return all(0 <= value <= 1 for value in values) and (
        len(values) == 1 or abs(sum(values) - 1) < 1e-6
    )


_CHECKS = {
    "round_robin": ("round_robin alone", lambda text: not text),
    "ratios": ("ratios alone", lambda text: not text),
    "always": ("always:LOSS with the name of a loss", bool),
    "random": (
        "random, random:P with P between 0 and 1, or random:P1,P2,… that sum to 1",
        lambda text: not text or _is_distribution([float(p) for p in text.split(",")]),
    ),
    "fixed": (
        "fixed:R or fixed:W1,W2,… with numbers of at least 0 and below 1e6, not all 0",
        lambda text: (
            all(0 <= float(w) < 1e6 for w in text.split(","))
            and any(float(w) for w in text.split(","))
        ),
    ),
    "grid": ("grid or grid:N with N of at least 2", _is_size),
    "grid_each": ("grid_each or grid_each:N with N of at least 2", _is_size),
    "open_loop": ("open_loop or open_loop:K with K of at least 2", _is_size),
    "without_penalty": ("without_penalty alone", lambda text: not text),
    "balance": (
        "balance or balance:R with a number R above 0 and below 1e6",
        lambda text: not text or 0 < float(text) < 1e6,
    ),
    **{
        rule: (
            f"{rule} or {rule}:T with a number T",
            lambda text: not text or abs(float(text)) < 1e6,
        )
        for rule in RULES
    },
    **{kind: _weighting_check(kind) for kind in WEIGHTINGS},
}
