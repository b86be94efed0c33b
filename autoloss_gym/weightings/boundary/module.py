"""A rule as a part of a model: no parameters, and a state that travels with the model's."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from autoloss_gym.weightings.boundary.notices import Notices
from autoloss_gym.weightings.boundary.saving import ABOUT, pack, unpack
from autoloss_gym.weightings.runs import Runs


class LoadedKeys(NamedTuple):
    """What `load_state_dict` of a PyTorch module returns."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class RuleModule(nn.Module, ABC):
    """What PyTorch asks of a part of a model, for rules, which are dataclasses.

    The state is no buffer: it begins with the first call, and neither `half()` nor the broadcasts
    of DistributedDataParallel may change it.
    """

    _runs: Runs
    _notices: Notices

    def __new__(cls, *_: Any, **__: Any) -> "RuleModule":
        # Here rather than in an __init__, which is the dataclass's own.
        instance = super().__new__(cls)
        nn.Module.__init__(instance)
        return instance

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # Modules are compared and hashed by identity; a dataclass leaves these as it finds them.
        cls.__eq__ = object.__eq__  # type: ignore[method-assign]
        cls.__hash__ = object.__hash__  # type: ignore[method-assign]
        own = vars(cls)
        if ("_weigh" in own or "_start" in own) and "_weigh_one" not in own:
            cls._weigh_one = None  # that of a parent follows another formula

    def __setattr__(self, name: str, value: Any) -> None:
        # A module or parameter among the arguments is a part of another module, and saved there.
        object.__setattr__(self, name, value)

    # The weights of one run in plain numbers (see `weightings.single`), where a rule has such a
    # formula beside that for tensors.
    _weigh_one: Any = None

    @abstractmethod
    def _fresh(self, losses: Any) -> dict[str, Any]:
        """State of runs that begin, but for `keys` and `calls`."""

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> LoadedKeys:
        """Continue from the result of `state_dict`, also one of an earlier version.

        Args:
            state_dict: flat tensors; its copies are kept.
            strict: refuse a state with missing or unexpected tensors; else an empty one changes
                nothing, and what is unexpected is left out.
            assign: means nothing here.

        Raises:
            ValueError: it is something else, or the state of another rule or of other arguments.
                The rule is then what it was.
        """
        if not strict and isinstance(state_dict, Mapping) and not state_dict:
            return LoadedKeys([ABOUT], [])
        unexpected: list[str] = []
        self._runs = unpack(self, state_dict, self._fresh, None if strict else unexpected)
        return LoadedKeys([], unexpected)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        self._notices.tell(wait=True)
        for name, tensor in pack(self, self._runs).items():
            destination[prefix + name] = tensor

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load the part of a model's state that is this rule's.

        A model's `load_state_dict` collects what does not fit, and raises it all at once.
        """
        own = {
            name.removeprefix(prefix): value
            for name, value in state_dict.items()
            if name.startswith(prefix)
        }
        if not own:
            missing_keys.append(prefix + ABOUT)
            return
        unexpected: list[str] = []
        try:
            self._runs = unpack(self, own, self._fresh, unexpected)
        except ValueError as error:
            error_msgs.append(f"{prefix.rstrip('.')}: {error}")
        unexpected_keys += [prefix + name for name in unexpected]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "RuleModule":
        super()._apply(fn, recurse)
        # Only where to go: the dtype is that of the losses, whatever becomes of the model's.
        self._runs.move(fn(torch.empty(0, dtype=torch.float32, device="cpu")).device)
        return self
