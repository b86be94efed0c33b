import numpy as np
import pytest
import torch

from autoloss_gym.core.state import Keys
from autoloss_gym.tasks.images.image_classification import ImageClassification


def reset(count=3, split="train", **changes):
    task = ImageClassification(**{"num_samples": 200} | changes)
    keys = torch.arange(count, dtype=torch.int64)
    return task, task.reset(Keys(problem=keys, run=keys + 7, split=split))


def test_the_share_of_wrong_labels_is_that_of_the_draws_that_miss():
    task, state = reset(20, label_noise=0.5)
    labels = task.source.labels_on("cpu")
    wrong = {}
    for part, data in state.data.items():
        wrong[part] = (data["labels"] != labels[data["rows"]]).float().mean().item()
    # One in ten labels that are drawn anew is right by chance.
    assert wrong["training"] == pytest.approx(0.45, abs=0.03)
    assert wrong["validation"] == pytest.approx(0.45, abs=0.03)
    assert wrong["test"] == 0


def test_without_noise_all_labels_are_right():
    task, state = reset()
    labels = task.source.labels_on("cpu")
    for data in state.data.values():
        assert torch.equal(data["labels"], labels[data["rows"]])


def test_losses_are_those_of_a_model_by_hand():
    task, state = reset(1, hidden_sizes=(3,), l2_coefficient=0.5)
    batch = task.batch(state.data, state.keys.run)
    assert batch["inputs"].shape == (1, 32, 64)
    network = {name: values[0] for name, values in task.unpack(state.parameters)["network"].items()}
    model = torch.nn.Sequential(torch.nn.Linear(64, 3), torch.nn.ReLU(), torch.nn.Linear(3, 10))
    for layer, index in ((model[0], 0), (model[2], 1)):
        layer.weight.data = network[f"weight_{index}"].T.contiguous()
        layer.bias.data = network[f"bias_{index}"]
    expected = torch.nn.functional.cross_entropy(model(batch["inputs"][0]), batch["targets"][0])
    parameters = task.unpack(state.parameters)
    found = {name: loss(parameters, batch) for name, loss in task.losses().items()}
    torch.testing.assert_close(found["cross_entropy"][0], expected.detach())
    squares = sum((value**2).sum() for value in network.values())
    torch.testing.assert_close(found["l2"][0], 0.5 * squares)


def test_the_score_is_the_share_of_errors_on_images_that_no_run_trains_on():
    task, state = reset(2, split="test")
    test = state.data["test"]
    logits = task.logits(task.unpack(state.parameters), task.source.gather(test["rows"]))
    expected = (logits.argmax(dim=2) != test["labels"]).float().mean(dim=1)
    torch.testing.assert_close(task.score(state)[:, 0], expected)
    seen = np.union1d(state.data["training"]["rows"], state.data["validation"]["rows"])
    assert not np.intersect1d(seen, test["rows"]).size


def test_images_without_labels_are_refused_in_one_line(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.zeros((40, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="its images have no labels"):
        ImageClassification(dataset=str(path))
