"""The example that shows translations before and after a training."""

import runpy

from tests.support.paths import ROOT


def test_it_shows_five_sentences_twice_and_learns(capsys, monkeypatch):
    names = runpy.run_path(str(ROOT / "examples" / "translate.py"))
    monkeypatch.setitem(names["main"].__globals__, "UPDATES", 200)
    names["main"]()
    printed = capsys.readouterr().out
    before, after = printed.split("After 200 updates:")
    assert before.count("means") == after.count("means") == 5
    assert before.count("found") == after.count("found") == 5
    assert float(printed.rsplit(":", 1)[1]) < 20  # of 44 words
