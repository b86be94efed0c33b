"""On `meta` an operation that is remembered returns what PyTorch would."""

import pytest
import torch

from tests.support.known_shapes import KnownShapes

META = {"dtype": torch.float32, "device": "meta"}
ops = torch.ops.aten


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (ops.mul.Tensor, (torch.empty(2, 3, **META), torch.empty(3, **META)), {}),
        (ops.mul.Tensor, (torch.empty(3, 2, **META).t(), 2.0), {}),
        (ops.sum.dim_IntList, (torch.empty(2, 3, **META), [1]), {"dtype": torch.float64}),
        (ops.topk.default, (torch.empty(2, 3, **META), 2), {}),
        (ops.unsafe_split.Tensor, (torch.empty(4, 3, **META), 2), {}),
        (ops.gt.Scalar, (torch.empty(4, **META), 0), {}),
    ],
)
def test_the_second_time_as_the_first(function, args, kwargs):
    shapes = KnownShapes()
    results = [function(*args, **kwargs), *(shapes.answer(function, args, kwargs) for _ in "ab")]
    looks = []
    for each in results:
        tensors = [each] if isinstance(each, torch.Tensor) else list(each)
        looks.append([(x.shape, x.stride(), x.dtype, x.device.type) for x in tensors])
    assert looks[0] == looks[1] == looks[2]
    assert len(shapes._known) == 1


def test_other_arguments_are_worked_out_anew():
    shapes, x = KnownShapes(), torch.empty(4, dtype=torch.int64, device="meta")
    assert shapes.answer(ops.mul.Scalar, (x, 1), {}).dtype == torch.int64
    assert shapes.answer(ops.mul.Scalar, (x, 1.0), {}).dtype == torch.float32
    assert shapes.answer(ops.sum.default, (x,), {"dtype": torch.int32}).dtype == torch.int32
    assert shapes.answer(ops.sum.default, (x,), {"dtype": torch.float32}).dtype == torch.float32


def test_views_and_what_is_written_are_left_to_pytorch():
    shapes, x = KnownShapes(), torch.empty(4, 3, **META)
    assert shapes.answer(ops.t.default, (x,), {})._is_view()
    assert shapes.answer(ops.add_.Tensor, (x, x), {}) is x
    assert not shapes._known


def test_errors_are_those_of_pytorch():
    with pytest.raises(RuntimeError, match="broadcast"):
        KnownShapes().answer(ops.mul.Tensor, (torch.empty(2, **META), torch.empty(3, **META)), {})
