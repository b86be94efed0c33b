from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from autoloss_gym.tools import tree


@dataclass
class Leaves:
    values: Tensor
    split: str


def example(offset: float = 0.0):
    return {
        "vector": torch.arange(4.0) + offset,
        "pair": (torch.arange(8).view(4, 2) + int(offset), None),
        "leaves": Leaves(values=torch.ones(4, 1, 2) * offset, split="train"),
    }


def test_map_reaches_every_tensor_and_takes_the_rest_from_the_first_tree():
    second = example(1.0)
    second["leaves"].split = "test"
    total = tree.map_tensors(torch.add, example(), second)
    assert torch.equal(total["vector"], torch.tensor([1.0, 3, 5, 7]))
    assert torch.equal(total["pair"][0][3], torch.tensor([13, 15]))
    assert total["pair"][1] is None
    assert torch.equal(total["leaves"].values, torch.ones(4, 1, 2))
    assert total["leaves"].split == "train"
    assert isinstance(total["pair"], tuple)


def test_map_refuses_tuples_of_different_lengths():
    with pytest.raises(ValueError, match="shorter"):
        tree.map_tensors(torch.add, (torch.ones(1), torch.ones(1)), (torch.ones(1),))


def test_select_takes_the_runs_in_the_order_asked_and_copies_them():
    whole = example()
    part = tree.select(whole, torch.tensor([3, 1]))
    assert part["vector"].tolist() == [3, 1]
    assert part["pair"][0].tolist() == [[6, 7], [2, 3]]
    for leaf in tree.leaves(part):
        leaf.zero_()
    assert whole["vector"].tolist() == [0, 1, 2, 3]


def test_merge_replaces_the_named_runs_and_no_other():
    rows = torch.tensor([2, 0])
    merged = tree.merge(example(), rows, tree.select(example(10.0), rows))
    assert merged["vector"].tolist() == [10, 1, 12, 3]
    assert merged["pair"][0].tolist() == [[10, 11], [2, 3], [14, 15], [6, 7]]
    assert merged["leaves"].values[:, 0, 0].tolist() == [10, 0, 10, 0]


def test_where_takes_new_runs_under_the_mask_even_beside_nan():
    old, new = example(), tree.map_tensors(lambda leaf: leaf * float("nan"), example())
    mixed = tree.where(torch.tensor([False, True, False, False]), new, old)
    assert mixed["vector"].isnan().tolist() == [False, True, False, False]
    assert mixed["leaves"].values[0].tolist() == [[0, 0]]
    assert mixed["leaves"].values[1].isnan().all()


def test_clone_shares_no_memory_with_its_source():
    source = example()
    for leaf in tree.leaves(tree.clone(source)):
        leaf.fill_(-1)
    assert all((leaf >= 0).all() for leaf in tree.leaves(source))


def test_gradients_flow_through_a_clone():
    source = torch.ones(3, requires_grad=True)
    (tree.clone({"x": source})["x"] * 2).sum().backward()
    assert source.grad.tolist() == [2, 2, 2]
