"""What the study compares, and how much it spends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ENV = "AutoLoss/MultiTaskTranslation-v0"
PRESETS = ("synthetic", "multi30k_small")
PAPER_RATIO = "102736:23999:40175"  # FixedRatio: sentences of the paper's three corpora
PAPER_BUFFER = 2000  # decisions after which the paper's online controller learns

MT, FIXED_RATIO, FINE_TUNED, CONSTANT = "mt", "fixed_ratio", "fine_tuned", "constant"
ONLINE, ONLINE_PAPER = "online", "online_paper"
OPEN_LOOP, PPO, GROUP, BLIND = "open_loop", "ppo", "group", "blind"

# Policies that no training precedes, as evaluate.py has them; {data} is the ratio of the task's
# own sentences. Those in `STATIC` observe nothing.
UNTRAINED = {
    MT: "always:translation",
    FIXED_RATIO: f"random:{PAPER_RATIO}",
    "data_ratio": "random:{data}",
    FINE_TUNED: f"fine_tuned:{PAPER_RATIO}",
    "round_robin": "1:1:1",
    CONSTANT: "random",
    "softadapt": "softadapt:pair",
    "uncertainty": "uncertainty:pair",
    "gradnorm": "gradnorm:pair",
    ONLINE: "online_ppo",
    ONLINE_PAPER: f"online_ppo:buffer={PAPER_BUFFER}",
}
STATIC = (MT, FIXED_RATIO, "data_ratio", FINE_TUNED, "round_robin", CONSTANT)
RULES = ("softadapt", "uncertainty", "gradnorm")
TRAINED = (OPEN_LOOP, PPO, GROUP)  # the group with its blind copy
TITLES = {
    MT: "MT: translation alone",
    FIXED_RATIO: f"FixedRatio, {PAPER_RATIO}",
    "data_ratio": "ratio of the data, {data}",
    FINE_TUNED: "FineTuned",
    "round_robin": "1:1:1",
    CONSTANT: "best constant probabilities",
    "softadapt": "`softadapt:pair`",
    "uncertainty": "`uncertainty:pair`",
    "gradnorm": "`gradnorm:pair`",
    ONLINE: "`online_ppo`",
    ONLINE_PAPER: f"`online_ppo:buffer={PAPER_BUFFER}`",
    OPEN_LOOP: "open loop, 4 knots",
    PPO: "PPO, trained before",
    GROUP: "group controller",
    BLIND: "the same, blind",
}
PARTS = 5  # constant probabilities are multiples of a fifth
KNOTS = 4  # of the open loop
DECISIONS = 4  # of the group controller


@dataclass(frozen=True)
class GroupSizes:
    """How the group controller spends its training runs.

    Args:
        num_envs: runs of an update, and of the measurement.
        copies: of each problem in an update.
        search_problems: that each candidate meets in a generation of the search of its base.
        search_share: of the training runs, at most.
    """

    num_envs: int = 48
    copies: int = 8
    search_problems: int = 4
    search_share: float = 0.4


@dataclass(frozen=True)
class Study:
    """What is compared on which problems.

    Args:
        preset: of the task.
        budgets: updates of a training run.
        learned_budgets: those of them at which learners are trained and open loops searched.
        learners: which of `TRAINED`.
        problems: unseen ones, the first of the test split.
        choosing: validation problems, on which shares, probabilities and the reference are chosen.
        seeds: trainings of each learner, and searches.
        training_runs: of each of them.
        rules: whether weighting rules are played.
        group: how the group controller spends them.
        env_kwargs: of the task, beside preset and budget.
        num_envs: runs at once when PPO learns, or problems of a batch that is played.
    """

    preset: str
    budgets: tuple[int, ...] = (300, 600, 1200)
    learned_budgets: tuple[int, ...] = (600,)
    learners: tuple[str, ...] = TRAINED
    problems: int = 100
    choosing: int = 20
    seeds: int = 5
    training_runs: int = 960
    rules: bool = True
    group: GroupSizes = field(default_factory=GroupSizes)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_envs: int = 8

    @property
    def outcome(self) -> str:
        """What is learned from: the test part may be known of generated problems alone."""
        return "truth" if self.preset == "synthetic" else "validation"

    def arguments(self, budget: int) -> dict[str, Any]:
        """Arguments of the environment."""
        return {"preset": self.preset, **self.env_kwargs, "max_steps": budget}


def quick(study: Study) -> Study:
    """The same at a small size, which shows that all parts run."""
    tiny = {
        "stems": 6,
        "embedding_size": 4,
        "hidden_size": 4,
        "batch_size": 2,
        "num_sentences": (8, 8, 8),
        "num_held_out": 4,
        "num_test": 4,
        "validate_every": 3,
    }
    if study.preset != "synthetic":
        del tiny["stems"]
    return Study(
        preset=study.preset,
        budgets=(6, 12),
        learned_budgets=(12,),
        problems=4,
        choosing=1,
        seeds=2,
        training_runs=96,
        group=GroupSizes(num_envs=16, search_problems=1),
        env_kwargs=tiny,
    )
