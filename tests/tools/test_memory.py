"""A lack of memory is one line, whoever says it; other errors pass."""

import pytest
import torch

from autoloss_gym.tools.memory import is_out_of_memory, within_memory

LACKS = (
    MemoryError("Unable to allocate 7.28 TiB for an array"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
)


@pytest.mark.parametrize("error", LACKS)
def test_a_lack_of_memory_is_a_line_about_what_does_not_fit(error):
    expected = r"^64 runs do not fit into memory: make fewer"
    with pytest.raises(ValueError, match=expected), within_memory("64 runs"):
        raise error
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), KeyError("memory")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)), within_memory("64 runs"):
        raise error


def test_a_size_beyond_all_memory_is_said_by_pytorch_in_words_that_are_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**31, 2**31, 4)
    assert is_out_of_memory(caught.value)
