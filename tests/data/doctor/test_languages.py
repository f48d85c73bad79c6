"""Which languages a set is written in."""

import pytest

from core.data.doctor.languages import language, languages
from core.data.examples import Example, Message, Source

ENGLISH = (
    "The wolf came to the river and saw a lamb that was drinking there, and he looked for a reason to eat it."
)
FRENCH = (
    "Le loup arriva au bord de la rivière et vit un agneau qui buvait, et il chercha une raison de le manger."
)


def examples(*answers: str, question: str = "Tell me about the wolf and the lamb.") -> list[Example]:
    return [
        Example((Message("user", question), Message("assistant", answer)), Source("a.jsonl", line))
        for line, answer in enumerate(answers, 1)
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (ENGLISH, "en"),
        (FRENCH, "fr"),
        (
            "Der Wolf kam an den Fluss und sah ein Lamm, das dort trank, und suchte einen Grund, es zu fressen.",
            "de",
        ),
        (
            "Волк пришёл к реке и увидел ягнёнка, который пил воду, и стал искать причину, чтобы его съесть.",
            "ru",
        ),
        ("狼来到河边，看见一只小羊正在喝水，于是它想找一个理由把小羊吃掉。", "zh"),
        ("Yes, Paris.", None),
        ("x = 3; y = [1, 2, 3]; for i in range(10): print(i ** 2, y[i] + 17, '%d' % 4, 0x1F, 99)", None),
        ("", None),
    ],
)
def test_a_language_is_told_where_there_is_enough_prose(text, name):
    assert language(text) == name


def test_a_set_in_two_languages_is_said_once_with_its_shares():
    spoken = languages(examples(*[ENGLISH] * 30, *[FRENCH] * 10))
    assert spoken.shares == {"English": 0.75, "French": 0.25}
    (found,) = spoken.findings()
    assert (found.index, found.code) == (30, "language-mix")
    assert "75% English, 25% French" in found.remark().why
    assert "all 40 rows" in found.remark().why


def test_a_stranger_in_a_set_of_one_language_is_said():
    stranger = examples(
        FRENCH, question="Raconte-moi l’histoire du loup et de l’agneau, telle que tu la connais bien."
    )
    (found,) = languages([*examples(*[ENGLISH] * 40), *stranger]).findings()
    assert (found.index, found.code) == (40, "rare-language")


def test_a_translation_is_no_stranger():
    asked = f"Translate this into French for me, please: {ENGLISH}"
    assert list(languages([*examples(*[ENGLISH] * 40), *examples(FRENCH, question=asked)]).findings()) == []


def test_a_large_set_is_judged_by_rows_from_all_of_it():
    spoken = languages(examples(*["No."] * 3000, *["Oui."] * 2000))
    assert (len(spoken.rows), spoken.of) == (1000, 5000)
    assert sum(row >= 3000 for row in spoken.rows) == 400


def test_a_few_rows_say_nothing_about_a_set():
    assert list(languages(examples(ENGLISH, FRENCH)).findings()) == []
    assert list(languages([]).findings()) == []
