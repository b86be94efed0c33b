"""The online controller of AutoLoss: one for each training run, which learns while it lasts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.controllers.online.gains import SegmentGains
from autoloss_gym.controllers.online.learner import Learner
from autoloss_gym.controllers.online.networks import ActorCritic
from autoloss_gym.controllers.online.settings import OnlineSettings
from autoloss_gym.controllers.online.transitions import Transitions
from autoloss_gym.controllers.policies.draws import Draws, one_hot
from autoloss_gym.core.task import Control, Metric

_MOST = 1e6  # of an observed number: products with larger ones may overflow


@dataclass
class OnlinePPO:
    """Chooses pairs by an actor that proximal policy optimization teaches during the training.

    Nothing is trained beforehand: a run begins with a new actor and critic, about equally probable
    choices, and learns from its own validations alone (Xu et al. 2019, §4.4 and §5.1.3). When a run
    has ended, its controller learns no more, until the next `reset`.

    Args:
        label: its name in tables.
        num_pairs: of the task.
        metric: the validation metric that decides.
        settings: numbers of the learning and of the reward.
    """

    label: str
    num_pairs: int
    metric: Metric
    settings: OnlineSettings
    static: bool = False
    diagnostics: bool = False
    env_arguments: dict[str, Any] = field(default_factory=dict)

    def reset(self, seeds: np.ndarray) -> None:
        keys = torch.from_numpy(np.asarray(seeds, dtype=np.int64))
        self._keys = random.fold_in(keys, "online ppo")
        self._draws = Draws(seeds, "online ppo")
        settings = self.settings
        self._gains = SegmentGains(self.metric, settings.segment, settings.window, settings.floor)
        self._steps = np.full(len(keys), -1, dtype=np.int64)
        self._running = np.ones(len(keys), dtype=bool)
        # Their sizes are known with the first observations.
        self._learner: Learner | None = None
        self._transitions: Transitions | None = None

    def act(self, observations: np.ndarray, infos: dict[str, Any]) -> Control:
        bounded = np.clip(np.nan_to_num(observations, nan=0.0), -_MOST, _MOST)
        seen = torch.from_numpy(bounded.astype(np.float32))
        learner, transitions = self._of_width(seen.shape[1])
        steps = np.asarray(infos["steps"], dtype=np.int64)
        rewards = self._gains.pay(steps, np.asarray(infos["validation"])[:, 0])
        # A run that has ended begins anew in its environment, or stands still.
        self._running &= steps > self._steps
        self._steps = steps
        if transitions.count:
            transitions.pay(torch.from_numpy(rewards))

        logs, values = learner.evaluate(seen)
        if transitions.is_full:
            learner.learn(transitions, values, torch.from_numpy(self._running.copy()))
            transitions.clear()
            logs, values = learner.evaluate(seen)
        choice = self._draws.categorical(torch.exp(logs).numpy())
        chosen = torch.from_numpy(choice)
        transitions.add(seen, chosen, logs.gather(1, chosen[:, None])[:, 0], values)
        return one_hot(choice, self.num_pairs)

    def state_dict(self) -> dict[str, Any]:
        """All that it has learned and remembers."""
        learner, transitions = self._learner, self._transitions
        return {
            "draws": self._draws.count,
            "steps": self._steps.copy(),
            "running": self._running.copy(),
            "gains": self._gains.state_dict(),
            "learner": learner.state_dict() if learner else None,
            "transitions": transitions.state_dict() if transitions else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken, after a `reset` with the same seeds."""
        self._draws.count = int(state["draws"])
        self._steps = state["steps"].copy()
        self._running = state["running"].copy()
        self._gains.load_state_dict(state["gains"])
        self._learner = self._transitions = None
        if state["learner"] is not None:
            width = state["transitions"]["observations"].shape[2]
            learner, transitions = self._of_width(width)
            learner.load_state_dict(state["learner"])
            transitions.load_state_dict(state["transitions"])

    def _of_width(self, num_inputs: int) -> tuple[Learner, Transitions]:
        """What learns and remembers, made where observations have so many numbers."""
        if self._learner is None or self._transitions is None:
            networks = ActorCritic(num_inputs, self.num_pairs)
            self._learner = Learner(networks, self.settings, self._keys)
            size = self.settings.buffer
            self._transitions = Transitions(len(self._keys), size, num_inputs)
        return self._learner, self._transitions
