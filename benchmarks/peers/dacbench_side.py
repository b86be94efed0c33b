"""Worker with DACBench's ToySGD: SGD with momentum on sixteen polynomials of one variable."""

import sys
from collections.abc import Callable

from torch.library import Library

from benchmarks.peers.protocol import serve

_STEPS = 1000
_OPERATORS = Library("torchvision", "FRAGMENT")  # which last as long as it


def toy_sgd(task: str, side: str, runs: int) -> Callable[[], int]:
    """Episodes of ten steps with random learning rates and momenta, whatever is asked for."""
    _allow_torchvision()
    from dacbench.benchmarks import ToySGDBenchmark  # noqa: PLC0415 (after torchvision)

    env = ToySGDBenchmark().get_environment()
    env.reset(seed=0)

    def play() -> int:
        for _ in range(_STEPS):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()
        return _STEPS

    return play


def _allow_torchvision() -> None:
    """Let torchvision be imported, as DACBench does, beside a PyTorch that it was not built for.

    It then lacks the operators of its extension, of which it wants to describe these two.
    """
    try:
        import torchvision  # noqa: F401, PLC0415
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("nms", "qnms"):
            _OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")


if __name__ == "__main__":
    serve(toy_sgd)
