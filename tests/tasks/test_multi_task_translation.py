import numpy as np
import pytest
import torch
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.controllers.policies.draws import one_hot, weigh
from autoloss_gym.core.state import Keys, State
from autoloss_gym.core.task import Control
from autoloss_gym.data.sentences.encoding import END, TASKS
from autoloss_gym.environment.building import build_task
from autoloss_gym.optimizers import Adam
from autoloss_gym.registration import TASKS as TASKS_BY_ID
from autoloss_gym.tasks.translation.multi_task_translation import MultiTaskTranslation
from autoloss_gym.tasks.translation.readers import DECODERS, ENCODER
from autoloss_gym.tools import tree
from tests.support.plain_translation import PlainTranslation, as_batched
from tests.support.small_text import write_small_text

_SMALL = {"num_sentences": (20, 30, 40), "num_held_out": 6, "num_test": 8, "batch_size": 4}
_TINY = {**_SMALL, "embedding_size": 8, "hidden_size": 16}

# With a small epsilon, Adam's first step is ± the learning rate whatever the size of a gradient.
_SMOOTH = Adam(learning_rate=5e-3, epsilon=1e-3)


def keys_of(*numbers: int) -> Keys:
    keys = torch.tensor(numbers)
    return Keys(problem=keys, run=random.fold_in(keys, "run"))


def a_run(**arguments) -> tuple[MultiTaskTranslation, State]:
    task = MultiTaskTranslation(**{**_TINY, **arguments})
    return task, task.reset(keys_of(3))


def a_batch(task: MultiTaskTranslation, state: State, pair: int) -> tuple[Tensor, Tensor]:
    """Sources and targets of the next update of the first run."""
    keys = random.fold_in(state.keys.run, state.steps)
    sentences = task.batch(state.data, keys)["sentences"][0, pair].to(torch.int64)
    source, target = sentences.split([task.source.source_length, task.source.target_length], dim=1)
    return source, target


def plain_of(task: MultiTaskTranslation, state: State) -> PlainTranslation:
    plain = PlainTranslation(task)
    plain.load(task.unpack(state.parameters), 0)
    return plain


@pytest.mark.parametrize("pair", range(3))
def test_losses_gradients_and_an_adam_step_are_those_of_a_plain_model(pair):
    task, state = a_run(clip_norm=0.1, hidden_size=12, optimizer=_SMOOTH)
    plain = plain_of(task, state)
    loss = plain.loss(TASKS[pair], *a_batch(task, state, pair))
    loss.backward()
    gradients = task.gradients(state)[pair]

    blocks = (ENCODER, DECODERS[TASKS[pair]])
    for block in blocks:
        for name, gradient in task.unpack({block: gradients[block]})[block].items():
            theirs = as_batched(name, plain.named(block, name).grad)
            torch.testing.assert_close(gradient[0], theirs, atol=1e-6, rtol=1e-4)

    parameters = [each for block in blocks for each in plain.get_submodule(block).parameters()]
    norm = torch.nn.utils.clip_grad_norm_(parameters, 0.1)
    assert norm > 0.1  # clipping has something to do
    torch.optim.Adam(parameters, lr=5e-3, eps=1e-3).step()
    state, evaluation = task.update(state, one_hot(np.array([pair]), 3))
    torch.testing.assert_close(evaluation.losses[0, pair], loss.detach(), atol=1e-6, rtol=1e-5)
    for block, tensors in task.unpack(state.parameters).items():
        for name, values in tensors.items():
            theirs = as_batched(name, plain.named(block, name).detach())
            torch.testing.assert_close(values[0], theirs, atol=1e-6, rtol=1e-4)


def test_greedy_decoding_is_that_of_a_plain_model():
    task, state = a_run(max_steps=100)
    for step in range(60):
        state, _ = task.update(state, one_hot(np.array([step % 3]), 3))
    plain = plain_of(task, state)
    parameters = task.unpack(state.parameters)
    words: set[int] = set()
    for pair, name in enumerate(TASKS):
        source, _ = a_batch(task, state, pair)
        found = task.readers.decoded(parameters, name, source[None])[0]
        assert torch.equal(found, plain.greedy(name, source, task.source.target_length))
        words |= set(found.flatten().tolist())
    assert len(words) > 3


@pytest.mark.parametrize(
    "arguments",
    [{}, {"layers": 2, "residual": True, "dropout": 0.3}, {"bidirectional": False}],
    ids=str,
)
def test_a_run_alone_equals_the_run_in_a_batch(arguments):
    task = MultiTaskTranslation(**{**_TINY, **arguments})
    batch = task.reset(keys_of(5, 6, 7))
    alone = task.reset(keys_of(6))
    generator = np.random.default_rng(0)
    for _ in range(12):
        choice = generator.integers(0, 3, size=3)
        batch, _ = task.update(batch, one_hot(choice, 3))
        alone, _ = task.update(alone, one_hot(choice[1:2], 3))
    weights = torch.tensor([[1.0, 0.5, 0.0]])
    batch, _ = task.update(batch, weigh(weights.expand(3, -1)))
    alone, _ = task.update(alone, weigh(weights))
    for whole, single in zip(
        tree.leaves(batch.parameters), tree.leaves(alone.parameters), strict=True
    ):
        assert torch.equal(whole[1:2], single)
    assert torch.equal(task.validate(batch)[1:2], task.validate(alone))
    assert torch.equal(task.score(batch)[1:2], task.score(alone))


def test_more_padding_changes_no_loss():
    task, state = a_run()
    parameters = task.unpack(state.parameters)
    source, target = a_batch(task, state, 0)
    longer = torch.nn.functional.pad(source, (0, 3))
    losses = []
    for ids in (source, longer):
        encoded = task.readers.model.encode(parameters[ENCODER], ids[None])
        losses.append(task.readers.model.decode(parameters["translator"], encoded, target[None]))
    torch.testing.assert_close(*losses, atol=1e-6, rtol=1e-5)


def test_the_order_of_sentences_changes_no_loss():
    task, state = a_run()
    parameters = task.unpack(state.parameters)
    sentences = task.source.held_out(state.data, "validation")
    for name, part in zip(TASKS, sentences, strict=True):
        forwards = task.readers.cross_entropy(parameters, name, part)
        backwards = task.readers.cross_entropy(parameters, name, part.flip(1))
        torch.testing.assert_close(forwards, backwards, atol=1e-6, rtol=1e-6)


def test_words_drop_out_in_updates_alone_and_anew_in_each():
    task, state = a_run(dropout=0.5)
    sentences = task.source.held_out(state.data, "validation")[0]
    parameters = task.unpack(state.parameters)
    first, again, other = (
        task.readers.cross_entropy(parameters, TASKS[0], sentences, torch.tensor([key]))
        for key in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert torch.equal(task.validate(state), task.validate(state))


def test_batches_hold_sentences_of_their_own_task():
    task, state = a_run(batch_size=64)
    drawn = task.batch(state.data, random.fold_in(state.keys.run, 0))["sentences"][0]
    firsts = np.cumsum((0, *task.num_sentences))
    for pair in range(3):
        own = state.data["training"][0, firsts[pair] : firsts[pair + 1]]
        assert {tuple(row) for row in drawn[pair].tolist()} <= {tuple(row) for row in own.tolist()}
    # Words of translations end; tags do not.
    assert (drawn[0] == END).any(dim=1).all()
    assert not (drawn[1:, :, task.source.source_length :] == END).any()


def test_guessing_has_the_worst_perplexity_and_learning_makes_it_smaller():
    task = MultiTaskTranslation(max_steps=150, num_held_out=50)
    state = task.reset(keys_of(0))
    before = task.validate(state)[0]
    worst = torch.tensor([metric.worst for metric in task.validation_metrics])
    assert (before > worst / 3).all()
    assert (before <= worst).all()
    for step in range(150):
        state, _ = task.update(state, one_hot(np.array([step % 3]), 3))
    assert (task.validate(state)[0] < before / 2).all()


def test_training_makes_translations_right():
    task = MultiTaskTranslation(max_steps=600)
    state = task.reset(keys_of(0))
    names = [metric.name for metric in task.score_metrics]
    exact = names.index("exact")
    assert task.score(state)[0, exact] == 0
    shown = task.translations(state, 5)[0]
    assert len(shown) == 5
    for _ in range(300):
        state, _ = task.update(state, one_hot(np.array([0]), 3))
    assert task.score(state)[0, exact] > 0.05
    later = task.translations(state, 5)[0]
    assert [each.reference for each in later] == [each.reference for each in shown]
    assert [each.translation for each in later] != [each.translation for each in shown]
    assert not any("<" in each.reference for each in later)


def test_a_task_without_sentences_is_refused():
    with pytest.raises(ValueError, match="num_sentences"):
        MultiTaskTranslation(num_sentences=(0, 5, 5))


def test_the_sizes_of_the_paper_run_on_a_device_without_numbers(tmp_path):
    pytest.importorskip("tokenizers")
    folder = str(write_small_text(tmp_path))
    task = build_task(
        TASKS_BY_ID["AutoLoss/MultiTaskTranslation-v0"], "paper", {"data_dir": folder}
    )
    assert (task.embedding_size, task.hidden_size, task.layers) == (128, 256, 2)
    numbers = torch.zeros(2, dtype=torch.int64, device="meta")
    state = task.reset(Keys(problem=numbers, run=numbers))
    encoder = sum(each.numel() for each in task.unpack(state.parameters)[ENCODER].values()) // 2
    words = len(task.source.vocabularies.source)
    first, second = (4 * 256 * (inputs + 256 + 2) for inputs in (128, 512))
    assert encoder == 128 * words + 2 * first + 2 * second
    weights = torch.ones(2, 3, device="meta")
    state, evaluation = task.update(state, Control(weights, weights[:, 0]))
    assert evaluation.losses.shape == (2, 3)
    assert task.validate(state).shape == (2, 3)
    assert task.score(state).shape == (2, 7)
