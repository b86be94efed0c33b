"""Sentences of the grammar against a slow parser, and what a problem promises of its parts."""

import re

import pytest
import torch

from autoloss_gym import random
from autoloss_gym.data.sentences.encoding import END, FIRST, TASKS
from autoloss_gym.data.sentences.grammar import GrammarProblems
from autoloss_gym.data.sentences.lexicon import draw_lexicon, entries
from autoloss_gym.data.sentences.templates import TEMPLATES
from tests.data.sentences.slow_grammar import Words, readings

SMALL = GrammarProblems(num_sentences=(40, 30, 50), num_held_out=20, num_test=30)
KEYS = torch.tensor([3, -5, 7777], dtype=torch.int64)


def lexicon_of(keys, stems=12):
    return draw_lexicon(random.fold_in(keys, "lexicon"), stems)


def words_of(problems, keys, run):
    """A problem's dictionary, by classes."""
    lexicon, vocabularies = lexicon_of(keys, problems.stems), problems.vocabularies
    source = [vocabularies.source[word] for word in lexicon.source[run].tolist()]
    target = [vocabularies.targets[0][word] for word in lexicon.target[run].tolist()]
    gender = lexicon.gender[run].tolist()
    uses = [entry.use for entry in entries(problems.stems)]
    rows = list(zip(uses, source, target, gender, strict=True))
    return Words(
        nouns={german: (english, sex) for use, german, english, sex in rows if use == "noun"},
        verbs={german: english for use, german, english, _ in rows if use == "verb"},
        adjectives={german: english for use, german, english, _ in rows if use == "adjective"},
        persons={german for use, german, _, _ in rows if use in ("person", "only person")},
        places={german for use, german, _, _ in rows if use in ("place", "only place")},
    )


def texts(problems, rows, task):
    """Source and target of each row as words."""
    vocabularies = problems.vocabularies
    for row in rows.tolist():
        source, target = row[: problems.source_length], row[problems.source_length :]
        yield (
            [vocabularies.source[word] for word in source if word],
            [vocabularies.targets[task][word] for word in target if word],
        )


def rows_of(problems, data, task, run):
    """The rows of a task in all parts."""
    training = data["training"][run].split(problems.num_sentences)[task]
    return torch.cat([training, data["validation"][run, task], data["test"][run, task]])


@pytest.mark.parametrize("stems", [6, 12, 25])
def test_translations_and_tags_are_those_of_a_slow_parser(stems):
    problems = GrammarProblems(stems=stems, num_sentences=(100, 100, 100))
    data = problems.draw(KEYS)
    for run in range(len(KEYS)):
        words = words_of(problems, KEYS, run)
        one_reading = 0
        for task in range(len(TASKS)):
            for german, target in texts(problems, rows_of(problems, data, task, run), task):
                found = readings(german, words)
                if task == 0:
                    assert target.pop() == "</s>"
                assert " ".join(target) in {reading[task] for reading in found}, german
                one_reading += len(found) == 1
        assert one_reading > 0.85 * 3 * 400


def test_the_slow_parser_reads_as_one_does_by_hand():
    words = Words(
        nouns={"bank": ("bark", 2), "mocht": ("doom", 0)},
        verbs={"mocht": "raind"},
        adjectives={"kemm": "slem"},
        persons={"Selm"},
        places={"Lindau", "Selm"},
    )
    german = "bei Lindau mocht das kemm bank oft den mocht ."
    assert readings(german.split(), words) == {
        (
            "the slem bark raind the doom near Lindau often .",
            "O PLACE O O O O O O O O",
            "PREPOSITION NAME VERB ARTICLE ADJECTIVE NOUN ADVERB ARTICLE NOUN PUNCTUATION",
        )
    }
    wrong_gender = "bei Lindau mocht der kemm bank oft den mocht ."
    assert readings(wrong_gender.split(), words) == set()


def test_a_sentence_of_one_template_has_the_translation_written_by_hand():
    problems = GrammarProblems(num_sentences=(10_000, 1, 1), num_held_out=1, num_test=1)
    data = problems.draw(KEYS[:1])
    words = words_of(problems, KEYS[:1], 0)
    # "Today has the dog slept ." is "the dog has slept today ."
    pattern = r"(heute|oft|gern) (hat|will|kann) (der|die|das|ein|eine) (\w+) (\w+) \."
    fixed = {"heute": "today", "oft": "often", "gern": "gladly"}
    fixed |= {"hat": "has", "will": "wants", "kann": "can"}
    found = 0
    for german, english in texts(problems, rows_of(problems, data, 0, 0), 0):
        match = re.fullmatch(pattern, " ".join(german))
        if match:
            adverb, auxiliary, article, noun, verb = match.groups()
            the = "the" if article.startswith("d") else "a"
            subject, gender = words.nouns[noun]
            assert article in (("der", "ein"), ("die", "eine"), ("das", "ein"))[gender]
            meaning = [the, subject, fixed[auxiliary], words.verbs[verb], fixed[adverb]]
            assert english == [*meaning, ".", "</s>"]
            found += 1
    assert found > 2


def test_the_verb_comes_second_or_last_in_german_and_before_the_object_in_english():
    by_slots = {template.slots: template.alignment for template in TEMPLATES}
    # Today has the N A-N in-PLACE V-ed: auxiliary second, participle last.
    auxiliary = "adverb auxiliary der noun den adjective noun in place verb period"
    assert by_slots[tuple(auxiliary.split())] == (2, 3, 1, 9, 4, 5, 6, 7, 8, 0, 10)
    # Because PERSON the N V, V PERSON: both verbs meet at the comma, which English has not.
    subordinate = "conjunction person den noun verb comma verb person period"
    assert by_slots[tuple(subordinate.split())] == (7, 6, 0, 1, 4, 2, 3, 8)


def test_there_are_hundreds_of_different_templates():
    assert len({template.slots for template in TEMPLATES}) == len(TEMPLATES) > 300


def test_half_of_the_forms_are_of_two_classes_and_mean_something_else_in_each():
    for stems in (6, 12, 25):
        problems = GrammarProblems(stems=stems)
        words = words_of(problems, KEYS, 0)
        classes = [set(words.nouns), set(words.verbs), set(words.adjectives)]
        forms = set().union(*classes)
        assert forms == set(problems.vocabularies.source[-stems:])
        counts = [sum(form in group for group in classes) for form in forms]
        assert counts.count(2) == stems // 2
        assert counts.count(1) == stems - stems // 2
        english = [word for word, _ in words.nouns.values()]
        english += [*words.verbs.values(), *words.adjectives.values()]
        meanings = problems.vocabularies.targets[0][-(stems + stems // 2) :]
        assert sorted(english) == sorted(meanings)


def test_a_third_of_the_names_are_persons_or_places_by_context():
    words = words_of(SMALL, KEYS, 0)
    assert len(words.persons & words.places) == 2
    assert len(words.persons | words.places) == 6
    assert len(words.persons) == len(words.places) == 4


def test_nouns_have_all_genders():
    words = words_of(SMALL, KEYS, 1)
    genders = [gender for _, gender in words.nouns.values()]
    assert [genders.count(gender) for gender in range(3)] == [2, 2, 2]


def test_rows_have_the_promised_forms_and_padding_only_at_the_end():
    data = SMALL.draw(KEYS)
    source_length, length = SMALL.source_length, SMALL.source_length + SMALL.target_length
    assert source_length <= 14
    assert SMALL.target_length <= 14
    assert data["training"].shape == (3, 120, length)
    assert data["validation"].shape == (3, 3, 20, length)
    assert data["test"].shape == (3, 3, 30, length)
    assert {part.dtype for part in data.values()} == {torch.int32}
    for task in range(len(TASKS)):
        rows = torch.cat([rows_of(SMALL, data, task, run) for run in range(3)])
        source, target = rows[:, :source_length], rows[:, source_length:]
        for words, names in (
            (source, SMALL.vocabularies.source),
            (target, SMALL.vocabularies.targets[task]),
        ):
            padding = words == 0
            assert not (padding[:, :-1] & ~padding[:, 1:]).any()
            assert int(words.max()) < len(names)
            assert bool(((words >= FIRST) | padding | (words == END)).all())
        assert not (source == END).any()
        lengths = (target != 0).sum(dim=1)
        if task == 0:
            last = target.gather(1, (lengths - 1)[:, None])
            assert bool((last == END).all())
            assert int((target == END).sum()) == len(target)
        else:
            assert torch.equal(lengths, (source != 0).sum(dim=1))


def test_words_are_different_and_those_of_one_id_are_readable():
    vocabularies = GrammarProblems(stems=1000).vocabularies
    for words in (vocabularies.source, *vocabularies.targets):
        assert words[:4] == ("<pad>", "<s>", "</s>", "<unk>")
        assert len(set(words)) == len(words)
        assert all(re.fullmatch(r"[A-Za-z_]+|[.,]", word) for word in words[4:])
    assert len(vocabularies.targets) == len(TASKS)
    assert vocabularies.targets[1][4:] == ("O", "PERSON", "PLACE")


def test_a_key_draws_the_same_problem_alone_and_among_others():
    together = SMALL.draw(KEYS)
    for run in range(3):
        alone = SMALL.draw(KEYS[run : run + 1])
        for part, rows in together.items():
            assert torch.equal(rows[run], alone[part][0])


def test_keys_draw_different_lexicons_and_sentences():
    lexicon = lexicon_of(KEYS)
    for values in (lexicon.source, lexicon.target, lexicon.gender):
        assert len({tuple(row) for row in values.tolist()}) == 3
    training = SMALL.draw(KEYS)["training"]
    assert (training[0] == training[1]).all(dim=1).sum() == 0


def test_more_sentences_of_one_task_leave_all_others_as_they_are():
    few = SMALL.draw(KEYS)
    larger = GrammarProblems(num_sentences=(40, 60, 50), num_held_out=20, num_test=30)
    many = larger.draw(KEYS)
    assert torch.equal(few["validation"], many["validation"])
    assert torch.equal(few["test"], many["test"])
    assert torch.equal(few["training"][:, :70], many["training"][:, :70])
    assert torch.equal(few["training"][:, 70:], many["training"][:, 100:])


def test_parts_and_tasks_have_sentences_of_their_own():
    problems = GrammarProblems()
    data = problems.draw(KEYS[:1])
    length = problems.source_length
    sources = {
        ("training", task): rows[:, :length]
        for task, rows in enumerate(data["training"][0].split(problems.num_sentences))
    }
    for part in ("validation", "test"):
        sources |= {(part, task): data[part][0, task, :, :length] for task in range(3)}
    sets = {name: {tuple(row) for row in rows.tolist()} for name, rows in sources.items()}
    for name, rows in sources.items():
        assert len(sets[name]) > 0.9 * len(rows)  # hardly any is drawn twice
        for other, others in sets.items():
            if other != name:
                assert len(sets[name] & others) < 0.05 * min(len(rows), len(others)) + 2


def test_problems_are_drawn_on_a_device_without_numbers():
    data = SMALL.draw(torch.zeros(2, dtype=torch.int64, device="meta"))
    assert {part.device.type for part in data.values()} == {"meta"}
    assert data["test"].shape == SMALL.draw(KEYS[:2])["test"].shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stems": 5}, "stems=5: expected 6 to 1000"),
        ({"stems": 1001}, "stems=1001: expected 6 to 1000"),
        ({"num_sentences": (10, 0, 10)}, r"num_sentences=\(10, 0, 10\): expected a positive"),
        ({"num_held_out": 0}, "num_held_out=0: expected at least 1"),
        ({"num_test": 0}, "num_test=0: expected at least 1"),
    ],
)
def test_numbers_out_of_range_are_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        GrammarProblems(**arguments)
    assert "\n" not in str(caught.value)
