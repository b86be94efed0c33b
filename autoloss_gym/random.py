"""Counter-based random draws, functions of (key, stream, position) and never of the batch.

A key is one 64-bit integer per run. Keys are derived with `fold_in` and expanded with `bits`, which
is the SplitMix64 sequence started at the key (Steele, Lea, Flood: "Fast splittable pseudorandom
number generators", OOPSLA 2014). Because no generator has state, run i draws the same numbers
whatever `num_envs` is, and on every device.
"""

import hashlib
import math

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from autoloss_gym.tools.compiling import graph_constant, is_plain_on_cpu

# SplitMix64's increment and multipliers, as signed 64-bit integers (all above 2**63).
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)
_WORDS = np.array((_GOLDEN, _MIX_1, _MIX_2), dtype=np.int64).view(np.uint64)
_27, _30, _31 = np.array((27, 30, 31), dtype=np.uint64)
_TO_SIGNED = 1 << 63
# Normal numbers that are drawn together on the CPU: more would leave its caches.
_PIECE = 1 << 18
Words = npt.NDArray[np.uint64]


def _shift_right(x: Tensor, places: int) -> Tensor:
    """Logical right shift (PyTorch shifts int64 arithmetically)."""
    return (x >> places) & ((1 << (64 - places)) - 1)


def _mix(x: Tensor) -> Tensor:
    if is_plain_on_cpu(x):
        return _from_host(_mix_on_host(_on_host(x))).view(x.shape)
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


def _mix_on_host(x: Words) -> Words:
    """`_mix` by NumPy, in a third of PyTorch's time for few numbers, an eighth for many."""
    x = (x ^ (x >> _30)) * _WORDS[1]
    x = (x ^ (x >> _27)) * _WORDS[2]
    return x ^ (x >> _31)


def _mix_number(x: int) -> int:
    """`_mix` of one number, with 64 bits and a sign as well, in a fraction of the time."""
    x %= 1 << 64
    x = (x ^ (x >> 30)) * _MIX_1 % (1 << 64)
    x = (x ^ (x >> 27)) * _MIX_2 % (1 << 64)
    x ^= x >> 31
    return x - (1 << 64) if x >> 63 else x


def _on_host(x: Int64[Tensor, "..."]) -> Words:
    """A tensor on the CPU as numbers without a sign, whose products wrap around at 64 bits too."""
    return np.atleast_1d(x.numpy()).view(np.uint64)


def _from_host(words: Words) -> Int64[Tensor, "..."]:
    return torch.from_numpy(words.view(np.int64))


def _stream_number(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") - _TO_SIGNED


@graph_constant(maxsize=4096)
def _mixed(data: int | str) -> int:
    """`_mix` of one number, or of the number of a stream, as a plain number."""
    number = _stream_number(data) if isinstance(data, str) else data
    return _mix_number(number)


def fold_in(
    keys: Int64[Tensor, "*runs"], data: Int64[Tensor, "*runs"] | int | str
) -> Int64[Tensor, "*runs"]:
    """Derive new keys from `keys` and an integer per run, one integer, or the name of a stream."""
    others = [data] if isinstance(data, Tensor) else []
    if all(each.shape.numel() == 1 and is_plain_on_cpu(each) for each in (keys, *others)):
        # Of one run, plain numbers are quicker than arrays of one number.
        mixed = _mix_number(int(data.item())) if isinstance(data, Tensor) else _mixed(data)
        folded = _mix_number(_mix_number(int(keys.item()) + _GOLDEN) ^ mixed)
        return torch.full(keys.shape, folded, dtype=torch.int64, device="cpu")
    number = _mix(data) if isinstance(data, Tensor) else _mixed(data)
    return _mix(_mix(keys + _GOLDEN) ^ number)


def bits(keys: Int64[Tensor, " runs"], size: int) -> Int64[Tensor, "runs size"]:
    """The first `size` outputs of SplitMix64 started at each key, as signed 64-bit integers."""
    return _draws(keys, size, 0)


def _draws(keys: Int64[Tensor, " runs"], size: int, places: int) -> Int64[Tensor, "runs size"]:
    """`bits`, shifted right by this many places: what is left is not negative."""
    if is_plain_on_cpu(keys):
        counters = np.arange(1, size + 1, dtype=np.uint64) * _WORDS[0]
        words = _mix_on_host(_on_host(keys)[:, None] + counters)
        return _from_host(words >> np.uint64(places) if places else words)
    # ~i is −(i + 1). PyTorch's compiler takes the products of an arange for indices, which it
    # assumes not to wrap around; written like this, it does not.
    counters = ~torch.arange(size, dtype=torch.int64, device=keys.device) * -_GOLDEN
    mixed = _mix(keys[:, None] + counters)
    return _shift_right(mixed, places) if places else mixed


def uniform(
    keys: Int64[Tensor, " runs"], shape: tuple[int, ...] = (), low: float = 0.0, high: float = 1.0
) -> Float32[Tensor, "runs ..."]:
    """Uniform draws from [low, high), of shape (num_envs, *shape)."""
    # 24 bits, as many as float32 holds exactly.
    unit = _draws(keys, math.prod(shape), 40).to(torch.float32) * 2.0**-24
    # Rounding the sum may reach `high` itself, which is not in the interval.
    below = float(np.nextafter(np.float32(high), np.float32(low)))
    return (unit * (high - low) + low).clamp(max=below).view(-1, *shape)


def normal(
    keys: Int64[Tensor, " runs"], shape: tuple[int, ...] = (), deviation: float = 1.0
) -> Float32[Tensor, "runs ..."]:
    """Normal draws with mean 0 (Box–Muller in float64), of shape (num_envs, *shape)."""
    size = math.prod(shape)
    if len(keys) * size > 2 * _PIECE and len(keys) > 1 and is_plain_on_cpu(keys):
        pieces = keys.split(max(_PIECE // size, 1))
        return torch.cat([normal(piece, shape, deviation) for piece in pieces])
    pairs = (size + 1) // 2
    # 53 bits, as many as float64 holds exactly; + 1 because the logarithm of 0 is infinite.
    unit = (_draws(keys, 2 * pairs, 11) + 1).to(torch.float64) * 2.0**-53
    # Contiguous, as the slices of a single run are: so log, cos and sin take one path for all
    # batches, and with it the same bits.
    radius = torch.sqrt(-2.0 * torch.log(unit[:, :pairs].contiguous()))
    angle = 2.0 * math.pi * unit[:, pairs:].contiguous()
    draws = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)[:, :size]
    return (draws * deviation).to(torch.float32).view(-1, *shape)


def integers(
    keys: Int64[Tensor, " runs"], shape: tuple[int, ...], high: int | Int64[Tensor, "runs 1"]
) -> Int64[Tensor, "runs ..."]:
    """Integers from 0 to `high` - 1 (`high` at most 2**31), of shape (num_envs, *shape)."""
    # 31 bits times `high` fit into 63.
    draws = _draws(keys, math.prod(shape), 33)
    return ((draws * high) >> 31).view(-1, *shape)


def ranged(
    keys: Int64[Tensor, " runs"], bounds: float | tuple[float, float], logarithmic: bool = False
) -> Float32[Tensor, " runs"]:
    """One number for each key from a range (low, high); a number alone is everyone's.

    Args:
        keys: one for each number.
        bounds: the number, or low and high, which may be equal.
        logarithmic: draw the logarithm uniformly, for 0 < low, instead of the number.
    """
    if not isinstance(bounds, tuple):
        return torch.full_like(keys, bounds, dtype=torch.float32)
    low, high = bounds
    if not logarithmic:
        return uniform(keys, (), low, high)
    unit = uniform(keys).to(torch.float64)
    draws = torch.exp(unit * (math.log(high) - math.log(low)) + math.log(low))
    return draws.clamp(low, high).to(torch.float32)


def ranged_integers(
    keys: Int64[Tensor, " runs"], bounds: int | tuple[int, int]
) -> Int64[Tensor, " runs"]:
    """One integer for each key, uniform from low to high with both; one alone is everyone's."""
    if not isinstance(bounds, tuple):
        return torch.full_like(keys, bounds)
    low, high = bounds
    return integers(keys, (), high - low + 1) + low


def permutation(keys: Int64[Tensor, " runs"], size: int) -> Int64[Tensor, "runs size"]:
    """A random order of 0 … `size` - 1 for every key."""
    return torch.argsort(bits(keys, size), dim=1, stable=True)
