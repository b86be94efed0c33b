"""Batched convolutions against those of torch.nn."""

import pytest
import torch
from torch import nn

from autoloss_gym.networks.convolutions import double, halve


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 6), (6, 3), (6, 7)])
@pytest.mark.parametrize("compiling", [False, True])
def test_convolutions_are_those_of_pytorch_with_their_gradients(
    kernel, inputs, outputs, compiling, monkeypatch
):
    """In float64, for two runs of images of 8 × 12 pixels; what is compiled is what other devices
    compute.
    """
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    drawn, padding = torch.Generator().manual_seed(0), {4: 1, 5: 2}[kernel]
    shapes = (
        (2, 3, 8, 12, inputs),
        (2, outputs, inputs, kernel, kernel),
        (2, inputs, outputs, kernel, kernel),
        (2, outputs),
    )
    images, down, up, bias = (
        torch.randn(s, generator=drawn, dtype=torch.float64, requires_grad=True) for s in shapes
    )

    def expected(function, weights, **arguments):
        values = [
            function(x.permute(0, 3, 1, 2), w, b, 2, padding, **arguments)
            for x, w, b in zip(images, weights, bias, strict=True)
        ]
        return torch.stack(values).permute(0, 1, 3, 4, 2)

    for found, reference, weights in (
        (halve(images, down, bias), expected(nn.functional.conv2d, down), down),
        (
            double(images, up, bias),
            expected(nn.functional.conv_transpose2d, up, output_padding=kernel - 4),
            up,
        ),
    ):
        torch.testing.assert_close(found, reference)
        slope = torch.randn(found.shape, generator=drawn, dtype=torch.float64)
        gradients = [
            torch.autograd.grad((each * slope).sum(), [images, weights, bias])
            for each in (found, reference)
        ]
        torch.testing.assert_close(*gradients)
