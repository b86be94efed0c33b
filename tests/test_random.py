import itertools
import math

import pytest
import torch

from autoloss_gym import random

PUBLISHED = (  # SplitMix64 from seed 1234567 (Vigna's splitmix64.c, as quoted by Rosetta Code)
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
)
MANY = torch.arange(20_000)
DRAWS = {
    "fold_in": lambda keys: random.fold_in(keys, "stream"),
    "bits": lambda keys: random.bits(keys, 9),
    "uniform": lambda keys: random.uniform(keys, (3, 3), -5.0, 5.0),
    "normal": lambda keys: random.normal(keys, (3, 3), 0.1),
    "integers": lambda keys: random.integers(keys, (9,), 1000),
    "permutation": lambda keys: random.permutation(keys, 9),
}


@pytest.mark.parametrize("number", [0, 7, -1, 2**62, -(2**63)])
def test_one_integer_is_folded_in_like_a_tensor_of_it(number):
    keys = torch.tensor([3, -5, 2**61])
    assert torch.equal(random.fold_in(keys, number), random.fold_in(keys, torch.full((3,), number)))


def splitmix64(seed: int, size: int) -> list[int]:
    """The reference algorithm in Python integers."""
    outputs = []
    for count in range(1, size + 1):
        z = (seed + count * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        outputs.append(z ^ (z >> 31))
    return outputs


def unsigned(values: torch.Tensor) -> list[int]:
    return [value % 2**64 for value in values.flatten().tolist()]


def test_bits_are_the_published_splitmix64_sequence():
    assert unsigned(random.bits(torch.tensor([1234567]), 5)) == list(PUBLISHED)


@pytest.mark.parametrize("seed", [0, -1, 2**63 - 1, -(2**63)])
def test_bits_are_splitmix64_at_the_ends_of_the_range(seed):
    assert unsigned(random.bits(torch.tensor([seed]), 20)) == splitmix64(seed, 20)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_a_key_draws_the_same_numbers_in_a_batch_of_any_size(draw):
    keys = random.fold_in(torch.arange(64), "batch")
    together = draw(keys)
    assert torch.equal(draw(keys[:7]), together[:7])
    for i in range(64):
        assert torch.equal(draw(keys[i : i + 1]), together[i : i + 1])


@pytest.mark.parametrize("piece", [1, 20, 45])
def test_many_normal_numbers_are_drawn_in_pieces_to_the_same_bits(monkeypatch, piece):
    keys = random.fold_in(torch.arange(11), "pieces")
    together = random.normal(keys, (3, 3))
    monkeypatch.setattr(random, "_PIECE", piece)
    assert torch.equal(random.normal(keys, (3, 3)), together)


def test_fold_in_of_a_number_is_the_same_whether_shared_or_one_a_run():
    keys = torch.arange(5)
    assert torch.equal(random.fold_in(keys, 7), random.fold_in(keys, torch.full((5,), 7)))


def test_fold_in_never_repeats_over_seeds_and_episodes():
    seeds, episodes = torch.arange(1000).repeat(200), torch.arange(200).repeat_interleave(1000)
    drawn = random.fold_in(random.fold_in(torch.zeros_like(seeds), seeds), episodes)
    assert len(drawn.unique()) == 200_000


def test_fold_in_depends_on_the_order_of_what_is_folded_in():
    key = torch.tensor([3])
    assert random.fold_in(random.fold_in(key, 1), 2) != random.fold_in(random.fold_in(key, 2), 1)


def test_streams_of_different_names_are_different_and_those_of_the_same_name_equal():
    key = torch.tensor([3])
    names = ("train", "validation", "test", "inputs", "noise", "truth")
    assert len({int(random.fold_in(key, name)) for name in names}) == len(names)
    assert torch.equal(random.fold_in(key, "train"), random.fold_in(key, "train"))


def test_neighbouring_keys_draw_unrelated_numbers():
    draws = random.uniform(random.fold_in(torch.zeros_like(MANY), MANY), (2,))
    table = torch.stack([draws[:-1, 0], draws[1:, 0], draws[:-1, 1]])
    correlations = torch.corrcoef(table) - torch.eye(3)
    assert correlations.abs().max() < 4 / math.sqrt(len(MANY))


def test_uniform_is_the_top_24_bits_scaled():
    expected = [(value >> 40) / 2**24 * 10 - 5 for value in PUBLISHED]
    torch.testing.assert_close(
        random.uniform(torch.tensor([1234567]), (5,), -5.0, 5.0), torch.tensor([expected])
    )


def test_uniform_fills_its_range_evenly():
    draws = random.uniform(MANY, (5,), -1.0, 3.0)
    counts = torch.histc(draws, 16, -1.0, 3.0)
    assert draws.min() >= -1
    assert draws.max() < 3
    expected = draws.numel() / 16
    assert (
        (counts - expected) ** 2 / expected
    ).sum() < 37.7  # the 99.9 % point of chi² with 15 degrees of freedom


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.5, 1.0), (-5.0, 5.0), (1.0, 3.0)])
def test_the_greatest_uniform_draw_stays_below_high(low, high):
    key = torch.tensor([3558559446808474027])
    assert random.bits(key, 1).tolist() == [[-1]]  # all ones
    assert random.uniform(key, (), low, high) < high


def test_uniform_without_a_shape_is_one_number_a_run():
    assert random.uniform(torch.arange(4)).shape == (4,)


def test_normal_is_box_muller_of_the_bits():
    unit = [((value >> 11) + 1) / 2**53 for value in splitmix64(9, 4)]
    radius = [math.sqrt(-2 * math.log(u)) for u in unit[:2]]
    angle = [2 * math.pi * u for u in unit[2:]]
    expected = [
        r * turn(t) for turn in (math.cos, math.sin) for r, t in zip(radius, angle, strict=True)
    ]
    torch.testing.assert_close(
        random.normal(torch.tensor([9]), (3,), 2.0), 2 * torch.tensor([expected[:3]])
    )


def test_normal_has_the_moments_and_the_tails_of_a_normal():
    draws = random.normal(MANY, (5,), 0.5).double().flatten() / 0.5
    error = 4 / math.sqrt(len(draws))
    assert abs(draws.mean()) < error
    assert abs(draws.square().mean() - 1) < error * math.sqrt(2)
    assert abs(draws.pow(4).mean() - 3) < error * math.sqrt(96)
    for bound in (1, 2, 3):
        assert abs((draws.abs() < bound).double().mean() - math.erf(bound / math.sqrt(2))) < error


@pytest.mark.parametrize("high", [1, 2, 7, 1000, 2**31])
def test_integers_lie_below_high_and_are_even(high):
    draws = random.integers(MANY, (2,), high)
    assert draws.min() >= 0
    assert draws.max() < high
    assert (
        abs(draws.double().mean() - (high - 1) / 2)
        < 4 * high / math.sqrt(12 * draws.numel()) + 1e-9
    )
    if high <= 7:
        assert len(draws.unique()) == high


def test_permutation_takes_every_order_equally_often():
    orders = random.permutation(MANY, 3).tolist()
    expected = len(MANY) / 6
    counts = [orders.count(list(order)) for order in itertools.permutations(range(3))]
    assert sum(counts) == len(MANY)
    assert (
        sum((count - expected) ** 2 / expected for count in counts) < 20.5
    )  # the 99.9 % point of chi² with 5


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_host_draws_what_a_tensor_program_draws(draw):
    """`vmap` hides the memory of its tensors: what it draws, tensors compute."""
    keys = torch.tensor([7, -5, 2**62, -(2**63), 0])
    found = torch.vmap(lambda key: draw(key[None])[0])(keys)
    assert torch.equal(found, draw(keys))
    assert torch.equal(found[1:2], draw(keys[1:2]))
