"""Questions in other words, with the same answers."""

import json

import pytest

from core.data.generate import generate
from core.data.generate.variants import variants
from tests.data.generate.making import rows, sources, write


def pairs_file(tmp_path, pairs):
    lines = (json.dumps({"question": question, "answer": answer}) for question, answer in pairs)
    return write(tmp_path, "qa.jsonl", "\n".join(lines) + "\n")


PAIRS = [
    ("What is the colour of a robin?", "Red and brown."),
    ("How do I feed a robin?", "With oats."),
    ("Name a small bird.", "A wren."),
    ("Quelle est la couleur du merle ?", "Noir."),
    ("Est-ce que le merle chante ?", "Oui, au printemps."),
    ("Qu'est-ce que le geai ?", "Un oiseau bleu."),
]


def test_originals_are_kept_and_every_variant_has_its_originals_answer(tmp_path):
    done = generate([pairs_file(tmp_path, PAIRS)], "augmented", 40, tmp_path / "out.jsonl")
    made = rows(tmp_path / "out.jsonl")
    assert done.made == 40 == len(set(made))
    assert set(PAIRS) <= set(made)
    assert len({question for question, _ in made}) == 40
    assert {answer for _, answer in made} == {answer for _, answer in PAIRS}
    for (_, answer), source in zip(made, sources(tmp_path / "out.sources.jsonl"), strict=True):
        assert PAIRS[source["passages"][0]["lines"][0] - 1][1] == answer


def test_variants_of_one_question_are_on_one_side(tmp_path):
    pairs = [(f"What is the name of bird {n}?", f"Bird number {n}.") for n in range(60)]
    done = generate([pairs_file(tmp_path, pairs)], "augmented", 300, tmp_path / "out.jsonl", split=True)
    assert list(done.rows.values()) == [240, 30, 30]
    sides: dict[str, set[str]] = {}
    for side in ("train", "validation", "test"):
        for _, answer in rows(tmp_path / f"out.{side}.jsonl"):
            sides.setdefault(answer, set()).add(side)
    assert all(len(each) == 1 for each in sides.values())


def test_a_question_with_two_answers_is_not_varied(tmp_path):
    pairs = [("What is red?", "A robin."), ("What is red?", "A poppy."), ("What is blue?", "A jay.")]
    generate([pairs_file(tmp_path, pairs)], "augmented", 12, tmp_path / "out.jsonl")
    asked = [question for question, _ in rows(tmp_path / "out.jsonl")]
    assert sum("red" in question for question in asked) == 2
    assert sum("blue" in question for question in asked) > 5


def test_no_variant_is_the_question_of_another_row(tmp_path):
    pairs = [("What is a jay?", "A bird."), ("What's a jay?", "A letter, as it sounds.")]
    pairs += [("Name a bird", "A wren."), ("Please name a bird.", "A finch.")]
    generate([pairs_file(tmp_path, pairs)], "augmented", 60, tmp_path / "out.jsonl")
    made = rows(tmp_path / "out.jsonl")
    assert len({question for question, _ in made}) == len(made) > 20
    assert dict(made)["What's a jay?"] == "A letter, as it sounds."


@pytest.mark.parametrize(
    "language, question, expected",
    [
        ("en", "What is the colour of a robin?", "Can you tell me what the colour of a robin is?"),
        ("en", "How do I feed a robin?", "I want to know how to feed a robin."),
        ("en", "Name a small bird.", "Could you please name a small bird?"),
        ("en", "What is a jay?", "What's a jay?"),
        ("en", "Who's the owner?", "Who is the owner?"),
        ("fr", "Est-ce que le merle chante ?", "Peux-tu me dire si le merle chante ?"),
        ("fr", "Est-ce qu'il chante ?", "Merci"),
        ("fr", "Qu'est-ce que le geai ?", "Peux-tu me dire ce qu'est le geai ?"),
        ("fr", "Quelle est la couleur du merle ?", "J’aimerais savoir quelle est la couleur du merle."),
        ("fr", "Citez trois oiseaux.", "S’il vous plaît, citez trois oiseaux."),
    ],
)
def test_word_order_contractions_and_politeness(language, question, expected):
    assert any(expected in each for each in variants(question, language, 1))


def test_an_inverted_french_question_keeps_its_order_behind_a_colon_only():
    for each in variants("Quand le merle chante-t-il ?", "fr", 1):
        assert not each.startswith(("Peux-tu me dire quand", "J’aimerais savoir quand"))


def test_what_stands_behind_a_question_mark_in_french_is_spaced_as_the_question_was():
    assert any(
        each.endswith("\u00a0?")
        for each in variants("Où est-elle\u00a0?", "fr", 1)
        if each.startswith("Bonjour,")
    )


def test_long_questions_and_code_are_left_alone():
    assert list(variants("What does this print?\n\nprint(1)", "en", 1)) == []
    assert list(variants("Why " + "so " * 200 + "long?", "en", 1)) == []


def test_typos_are_made_on_request_only_and_never_inside_quotation_marks():
    question = "What is the meaning of “serendipity” in `garden`?"
    plain = set(variants(question, "en", 1))
    typed = set(variants(question, "en", 1, typos=True)) - plain
    assert typed
    assert all("“serendipity”" in each and "`garden`" in each for each in typed)
    assert all("meaning" in each for each in plain)
