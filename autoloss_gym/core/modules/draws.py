"""Random numbers of a user's model, drawn from the key of a run instead of a global generator.

While `keyed` is active, PyTorch's functions of the table below draw from a key, so that a run
repeats whatever the batch is. They are put in place of those in `torch` and
`torch.nn.functional`, and only for the thread that is in the context.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from autoloss_gym import random

_local = threading.local()


class Draws:
    """Draws of one run, one after another.

    Args:
        key: of the run and its step, a tensor without dimensions, int64.
    """

    def __init__(self, key: Tensor) -> None:
        self._key = key
        self._count = 0

    def _next(self) -> Tensor:
        """A key for the next draw, (1,)."""
        self._count += 1
        return random.fold_in(self._key, self._count)[None]

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Numbers from [0, 1)."""
        return random.uniform(self._next(), shape)[0]

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Normal numbers."""
        return random.normal(self._next(), shape)[0]

    def integers(self, shape: tuple[int, ...], high: int) -> Tensor:
        """Integers from 0 to `high` - 1."""
        return random.integers(self._next(), shape, high)[0]

    def order(self, size: int) -> Tensor:
        """A permutation of 0 … `size` - 1."""
        return random.permutation(self._next(), size)[0]

    def kept(self, shape: tuple[int, ...], dropped: float) -> Tensor:
        """A mask, True with probability 1 − `dropped` to within 2⁻¹⁷."""
        size = math.prod(shape)
        # Four numbers of 16 bits from each of 64: drawing is what a dropout costs.
        wide = random.bits(self._next(), -(-size // 4))[0]
        narrow = torch.cat([(wide >> places) & 0xFFFF for places in (48, 32, 16, 0)])[:size]
        return (narrow >= round(dropped * 65536)).view(shape)


@contextlib.contextmanager
def keyed(key: Tensor) -> Iterator[None]:
    """Draws are functions of the key and of their place in the order of the draws."""
    previous = getattr(_local, "draws", None)
    _local.draws = Draws(key)
    _replacements.install()
    try:
        yield
    finally:
        _replacements.remove()
        _local.draws = previous


class _Replacements:
    """Puts our functions in place of PyTorch's while any thread draws from keys."""

    def __init__(self) -> None:
        self.originals: dict[tuple[Any, str], Callable[..., Any]] = {}
        self._lock = threading.Lock()
        self._users = 0

    def install(self) -> None:
        """One more thread draws from keys."""
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            for place, name, own in _TABLE:
                original = getattr(place, name)
                self.originals[place, name] = original
                setattr(place, name, _switch(original, own))

    def remove(self) -> None:
        """One thread fewer does."""
        with self._lock:
            self._users -= 1
            if not self._users:
                for (place, name), original in self.originals.items():
                    setattr(place, name, original)


_replacements = _Replacements()


def _switch(original: Callable[..., Any], own: Callable[..., Any]) -> Callable[..., Any]:
    """`own` where this thread draws from a key and no generator is named, else `original`."""

    def draw(*args: Any, **kwargs: Any) -> Any:
        draws = getattr(_local, "draws", None)
        if draws is None or kwargs.get("generator") is not None or kwargs.get("out") is not None:
            return original(*args, **kwargs)
        return own(draws, *args, **kwargs)

    return draw


def _finished(
    drawn: Tensor,
    dtype: torch.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    **_: Any,
) -> Tensor:
    drawn = drawn.to(dtype=dtype or drawn.dtype, device=device or drawn.device)
    return drawn.requires_grad_() if requires_grad else drawn


def _shape(sizes: tuple[Any, ...], options: dict[str, Any]) -> tuple[int, ...]:
    """The size of a draw, given as one argument, as several, or by name."""
    given = options.pop("size", sizes)
    return tuple(given[0]) if given and not isinstance(given[0], int) else tuple(given)


def _rand(draws: Draws, *sizes: Any, **options: Any) -> Tensor:
    return _finished(draws.uniform(_shape(sizes, options)), **options)


def _randn(draws: Draws, *sizes: Any, **options: Any) -> Tensor:
    return _finished(draws.normal(_shape(sizes, options)), **options)


def _rand_like(draws: Draws, like: Tensor, dtype: Any = None, **options: Any) -> Tensor:
    return _finished(draws.uniform(tuple(like.shape)), dtype or like.dtype, **options)


def _randn_like(draws: Draws, like: Tensor, dtype: Any = None, **options: Any) -> Tensor:
    return _finished(draws.normal(tuple(like.shape)), dtype or like.dtype, **options)


def _randint(draws: Draws, *bounds_and_size: Any, **options: Any) -> Tensor:
    given = list(bounds_and_size)
    size = options.pop("size", None) or given.pop()
    high = options.pop("high", None) or given.pop()
    low = options.pop("low", None) or (given.pop() if given else 0)
    return _finished(draws.integers(tuple(size), high - low) + low, **options)


def _randperm(draws: Draws, n: int, **options: Any) -> Tensor:
    return _finished(draws.order(n), **options)


def _bernoulli(draws: Draws, probability: Tensor, p: float | None = None, **_: Any) -> Tensor:
    threshold = probability if p is None else p
    return (draws.uniform(tuple(probability.shape)) < threshold).to(probability.dtype)


def _normal(draws: Draws, mean: Any, std: Any = 1.0, size: Any = None, **options: Any) -> Tensor:
    if size is None:
        shapes = [tuple(each.shape) for each in (mean, std) if isinstance(each, Tensor)]
        size = torch.broadcast_shapes(*shapes)
    return _finished(draws.normal(tuple(size)) * std + mean, **options)


def _masked(draws: Draws, values: Tensor, shape: tuple[int, ...], p: float) -> Tensor:
    if p >= 1:
        return values * 0
    return values * draws.kept(shape, p).to(values.dtype) * (1 / (1 - p))


def _dropout(
    draws: Draws, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    if not training or p == 0:
        return input
    return _masked(draws, input, tuple(input.shape), p)


def _channels(dimensions: int) -> Callable[..., Tensor]:
    """Dropout of whole channels, which have this many dimensions."""

    def dropout(
        draws: Draws, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        shape = (*input.shape[: input.dim() - dimensions], *[1] * dimensions)
        return _masked(draws, input, shape, p)

    return dropout


def _attention(
    draws: Draws,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Tensor:
    """Attention whose weights are dropped; the scores are those of PyTorch's own."""
    original = _replacements.originals[functional, "scaled_dot_product_attention"]
    if not dropout_p:
        return original(query, key, value, attn_mask, 0.0, is_causal, **options)
    # With the identity for values, PyTorch's function returns the weights themselves.
    if options.get("enable_gqa"):
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], dim=-3)
    places = torch.eye(key.shape[-2], dtype=query.dtype, device=query.device)
    places = places.expand(*value.shape[:-1], key.shape[-2])
    weights = original(query, key, places, attn_mask, 0.0, is_causal, **options)
    return _masked(draws, weights, tuple(weights.shape), dropout_p) @ value


_TABLE: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (torch, "rand", _rand),
    (torch, "randn", _randn),
    (torch, "rand_like", _rand_like),
    (torch, "randn_like", _randn_like),
    (torch, "randint", _randint),
    (torch, "randperm", _randperm),
    (torch, "bernoulli", _bernoulli),
    (torch, "normal", _normal),
    (torch, "dropout", _dropout),
    (functional, "dropout", _dropout),
    (functional, "dropout1d", _channels(1)),
    (functional, "dropout2d", _channels(2)),
    (functional, "dropout3d", _channels(3)),
    (functional, "scaled_dot_product_attention", _attention),
)
