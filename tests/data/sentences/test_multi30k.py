"""The corpora that come with the name multi30k."""

import numpy as np
import pytest

from autoloss_gym.data.sentences import text_source
from autoloss_gym.data.sentences.encoding import UNKNOWN
from autoloss_gym.data.sentences.text_source import TextSource
from tests.support.paths import DATA

pytest.importorskip("tokenizers")
FOLDERS = ("multi30k", "germeval14", "ud_german_gsd")
needs_data = pytest.mark.skipif(
    not all((DATA / name).is_dir() for name in FOLDERS),
    reason="AUTOLOSS_GYM_DATA names no folder with multi30k, germeval14 and ud_german_gsd",
)


@needs_data
def test_all_sentences_of_the_three_corpora_are_read(tmp_path, monkeypatch, as_users_have_it):
    monkeypatch.setenv("AUTOLOSS_GYM_CACHE", str(tmp_path))
    text_source._load.cache_clear()
    settings = {"translation_length": 1000, "tag_length": 1000}
    corpus = TextSource(
        "multi30k", str(DATA), source_words=2000, target_words=1000, **settings
    ).load()
    # GermEval: 5,100 sentences, a tenth of them held out, and 2,200.
    sizes = [[len(rows) for rows in part] for part in corpus.parts]
    assert sizes == [[29_000, 4_590, 13_814], [1_014, 2_200, 799], [1_000, 510, 977]]
    lengths = [len(words) - 4 for words in corpus.vocabularies.targets]
    assert lengths == [996, 9, 16]  # O, and begin and inside of four classes; universal tags
    num_words = (corpus.training[2][:, corpus.source_length :] > 0).sum()
    assert num_words == 263_804  # as the corpus counts them
    unknown = sum(np.count_nonzero(rows == UNKNOWN) for part in corpus.parts for rows in part)
    tokens = sum(np.count_nonzero(rows) for part in corpus.parts for rows in part)
    assert unknown / tokens < 1e-4
