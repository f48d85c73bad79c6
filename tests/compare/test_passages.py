"""Passages are found by the words that a reader would look for, in English and in French."""

import pytest

from core.compare.passages import LONGEST, Index, Passage, passages, query, terms
from core.data.generate.reading import documents

FRENCH = """# Le musée

## L’œuvre

L’œuvre de l’artiste est restée inachevée. Les élèves de l’École l’ont étudiée aujourd’hui.

## Les horaires

Le musée ouvre à neuf heures. Jusqu’à midi, l’entrée est libre.
"""


def read(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    return passages(documents([str(tmp_path / name)]))


@pytest.mark.parametrize(
    "text, words",
    [
        ("L’article, l'article", ["article", "article"]),
        ("qu’une œuvre d'été", ["une", "oeuvre", "ete"]),
        ("aujourd’hui lorsqu'il", ["aujourd", "hui", "il"]),
        ("Bob's cats don't", ["bob", "cat", "don", "t"]),
        ("les chevaux, le roi", ["les", "chevau", "le", "roi"]),
        ("STRASSE Straße ﬁn", ["strasse", "strasse", "fin"]),
        ("हिन्दी 学校", ["हिन्दी", "学", "校"]),
    ],
)
def test_words_are_compared_without_what_people_leave_out(text, words):
    assert terms(text) == words


def test_accents_and_apostrophes_do_not_hide_a_passage(tmp_path):
    index = Index(read(tmp_path, "musee.md", FRENCH))
    for question in ("Qui a étudié l’œuvre ?", "qui a etudie l'oeuvre", "Une ŒUVRE d’artiste"):
        assert index.passages[index.search(question, 1)[0]].about.endswith("L’œuvre")


def test_little_words_are_left_out_of_questions_in_their_own_language_alone():
    assert query("What is the price of gold?") == ["price", "gold"]
    assert query("Where do you pour it, or not?") == ["pour"]
    assert query("Quel est le coût de l’or pour un bijou ?") == ["cout", "or", "bijou"]


def test_a_question_of_little_words_alone_is_looked_for_by_all_of_them():
    assert query("Who is it?") == ["who", "is", "it"]


def test_a_question_that_shares_no_word_finds_nothing(tmp_path):
    index = Index(read(tmp_path, "musee.md", FRENCH))
    assert index.search("Xylophone?", 3) == []
    assert index.search("???", 3) == []


def test_the_same_question_finds_the_same_passages_in_the_same_order():
    alike = [Passage("a.md", n, n, "", "The same words in each of them.") for n in range(5)]
    assert Index(alike).search("same words", 3) == [0, 1, 2]


def test_no_passage_is_longer_than_a_model_is_given_and_nothing_is_lost(tmp_path):
    sentences = [f"Sentence number {n} says something of its own." for n in range(120)]
    numbers = "".join(f"{n:04}" for n in range(500))
    found = read(tmp_path, "long.txt", " ".join(sentences) + "\n\n" + numbers)
    assert all(len(passage.text) <= LONGEST for passage in found)
    whole = " ".join(passage.text for passage in found)
    assert all(sentence in whole for sentence in sentences)
    assert numbers in whole.replace(" ", "")


def test_each_row_of_a_table_is_a_passage_with_its_line(tmp_path):
    rows = "name,licence,language\nApache,Apache-2.0,C\nnginx,BSD-2-Clause,C\n"
    found = read(tmp_path, "tools.csv", rows)
    assert [(passage.first, "nginx" in passage.text) for passage in found] == [(2, False), (3, True)]


def test_a_text_that_stands_twice_is_one_passage(tmp_path):
    text = "A paragraph that says the same thing in both files.\n"
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(text)
    assert len(passages(documents([str(tmp_path)]))) == 1
