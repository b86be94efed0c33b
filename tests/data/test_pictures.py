"""Pictures in the forms in which users have them: their pixels and classes, or one true line."""

import os
import pickle
import re

import numpy as np
import pytest
from PIL import Image

from autoloss_gym.data import picture_folders
from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.data.images import load_images
from autoloss_gym.tasks.images.sparse_autoencoder import SparseAutoencoder
from tests.support import tried_pictures
from tests.support.paths import ROOT
from tests.support.tried_pictures import FORMS, LABELS, PICTURES, npz, packed, read, side_by_side


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.what)
def test_pictures_of_a_users_form_are_read_as_meant_or_refused_in_one_true_line(form, tmp_path):
    found, line = read(form, tmp_path)
    assert "\n" not in line
    if form.outcome:
        assert found is None
        assert re.search(form.outcome, line), line
        return
    assert found is not None, line
    assert found.images.shape == form.expected.shape
    assert np.abs(found.images.astype(int) - form.expected).max() <= form.losses
    assert (found.labels == LABELS).all() if form.labels else found.labels is None
    assert bool(found.remarks) == bool(form.remark)
    assert re.search(form.remark, line), line


def write(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_what_was_left_out_of_a_folder_is_said_under_the_results(tmp_path):
    write(tmp_path, side_by_side("PNG", "png") | {"00.heic": b"x"})
    task = SparseAutoencoder(dataset=str(tmp_path))
    assert task.remarks("test") == (f"Left out of {tmp_path.name}: 1 .heic.",)
    assert SparseAutoencoder().remarks("test") == ()


def test_a_rewritten_file_is_read_again_and_a_source_never_changes_under_a_task(tmp_path):
    path = str(tmp_path / "pictures.npz")
    write(tmp_path, npz(images=PICTURES))
    os.utime(path, ns=(0, 0))
    before = ImageSource(path)
    digest = SparseAutoencoder(dataset=path).data_digest
    assert len(digest) == 64
    assert before.load() is load_images(path)
    write(tmp_path, npz(images=255 - PICTURES))
    os.utime(path, ns=(0, 1))
    assert (load_images(path).images == 255 - PICTURES).all()
    assert ImageSource(path) != before
    assert SparseAutoencoder(dataset=path).data_digest != digest
    assert (before.load().images == PICTURES).all()
    with pytest.raises(ValueError, match="rewritten after the task was made; make it anew"):
        pickle.loads(pickle.dumps(ImageSource("digits"))).load() and _forgotten(before).load()


def _forgotten(source):
    """The source in another process, which has read nothing yet."""
    from autoloss_gym.data import images

    images.load_written.cache_clear()
    return source


def test_a_picture_added_to_a_folder_is_seen(tmp_path):
    write(tmp_path, side_by_side("PNG", "png"))
    assert len(load_images(str(tmp_path)).images) == 40
    write(tmp_path, {"99.png": packed(PICTURES[0], "PNG")})
    assert len(load_images(str(tmp_path)).images) == 41


@pytest.mark.parametrize("size", [0, 1, 7, 32, 100])
def test_a_picture_read_in_bands_has_the_same_bytes_as_a_whole_one(size, tmp_path, monkeypatch):
    from autoloss_gym.data.resizing import resized

    pixels = np.random.default_rng(0).integers(0, 256, (30, 45, 60, 3)).astype(np.uint8)
    write(tmp_path, side_by_side("PNG", "png", pixels))
    monkeypatch.setattr(picture_folders, "_BAND", 7 * 60)  # 7 rows
    found = load_images(str(tmp_path), size=size).images
    assert (found == (resized(pixels, size) if size else pixels)).all()


def test_a_pipe_among_pictures_is_left_out_and_one_called_npz_refused(tmp_path):
    write(tmp_path, side_by_side("PNG", "png"))
    os.mkfifo(tmp_path / "pipe.png")
    found = load_images(str(tmp_path))
    assert len(found.images) == 40
    assert "1 .png" in found.remarks[0]
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(ValueError, match="a pipe or a device, no file"):
        load_images(str(tmp_path / "pipe.npz"))


def test_moving_pictures_give_their_first_one(tmp_path):
    first, second = (Image.fromarray(PICTURES[index].copy()) for index in (0, 1))
    for index in range(25):
        first.save(tmp_path / f"{index}.gif", save_all=True, append_images=[second])
    assert (load_images(str(tmp_path)).images == PICTURES[0]).all()


def test_the_documentation_says_what_comes_of_each_form():
    page = (ROOT / "docs/results/data_files.md").read_text()
    for line in tried_pictures.report().splitlines():
        # What follows may be in the words of Pillow.
        assert line.partition(";")[0] in page
