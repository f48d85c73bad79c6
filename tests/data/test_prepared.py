"""Public sets, shaped as their originals are, become rows that read without a word; nothing is lost unsaid."""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from core.data import read
from core.data.prepared import Prepared, as_dict, as_text, prepare
from core.data.prepared.books import in_speech, read_book, sentences
from core.data.prepared.passages import conversations
from core.data.prepared.sets import boxed
from core.data.prepared.speech import speeches
from core.errors import DataError
from tests.hub import Hub
from tests.hub.store import File

ROOT = Path(__file__).parents[2]


def write_lines(path: Path, *rows: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def made(folder: Path, name: str) -> list[list[str]]:
    """The texts of each row of a file, in turn; the sides are checked on the way."""
    rows = [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]
    for row in rows:
        assert list(row) == ["messages"]
        sides = [message["role"] for message in row["messages"]]
        assert sides == ["user", "assistant"] * (len(sides) // 2)
    return [[message["content"] for message in row["messages"]] for row in rows]


def one(name: str, source: Path, output: Path, **choices) -> Prepared:
    [prepared] = prepare([name], output, str(source), **choices)
    total = prepared.rows - sum(prepared.left_out.values())
    if prepared.unit == "row":
        assert total == sum(prepared.examples.values()), "a row was lost unsaid"
    assert total >= 0
    return prepared


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "sft"


# Instructions

DOLLY = [
    {"instruction": "Who came?", "context": "A fox came.", "response": "A fox.", "category": "closed_qa"},
    {"instruction": "Name a bird.", "context": "", "response": "A wren.", "category": "open_qa"},
]


def test_a_dolly_context_follows_its_question_and_the_category_stays_behind(tmp_path: Path, output: Path):
    prepared = one("dolly15k", write_lines(tmp_path / "dolly.jsonl", *DOLLY), output)
    assert made(output, "dolly15k.jsonl") == [
        ["Who came?\n\nA fox came.", "A fox."],
        ["Name a bird.", "A wren."],
    ]
    assert (prepared.rows, prepared.left_out) == (2, {})


def test_dolly_under_the_keys_of_alpaca_is_the_same(tmp_path: Path, output: Path):
    renamed = [
        {"instruction": each["instruction"], "input": each["context"], "output": each["response"]}
        for each in DOLLY
    ]
    (tmp_path / "dolly.json").write_text(json.dumps(renamed))
    one("dolly15k", write_lines(tmp_path / "dolly.jsonl", *DOLLY), output)
    original = (output / "dolly15k.jsonl").read_bytes()
    one("dolly15k", tmp_path / "dolly.json", output)
    assert (output / "dolly15k.jsonl").read_bytes() == original


def test_alpaca_says_what_it_leaves_out_and_what_it_changes(tmp_path: Path, output: Path):
    rows = [
        {"instruction": "Translate.", "input": "fox", "output": "renard"},
        {"instruction": "Sing.", "input": "<noinput>", "output": "La."},
        {"instruction": "Hum.", "input": "No input.", "output": "Mm."},
        {"instruction": "Draw.", "input": "", "output": " "},
        {"instruction": "Sing.", "input": "", "output": "La."},
        {"instruction": "Count.", "input": ""},
        {"id": "seed", "instruction": "Dance.", "instances": [{"input": "", "output": "Now."}]},
        {"title": "Alpaca"},
    ]
    prepared = one("alpaca", write_lines(tmp_path / "alpaca.jsonl", *rows), output)
    assert made(output, "alpaca.jsonl") == [
        ["Translate.\n\nfox", "renard"],
        ["Sing.", "La."],
        ["Hum.", "Mm."],
    ]
    assert prepared.left_out == {
        "an empty question or answer": 1,
        "no output": 1,
        "not a row of this set": 2,
        "the same again": 1,
    }
    assert prepared.changed == {"inputs that say “no input” left away": 2}


def test_lines_that_cannot_be_read_are_counted(tmp_path: Path, output: Path):
    path = write_lines(tmp_path / "dolly.jsonl", *DOLLY)
    path.write_text(
        path.read_text() + '{"instruction": "Cut\n' + '{"instruction": "A\\ud83d", "response": "B"}\n'
    )
    prepared = one("dolly15k", path, output)
    assert prepared.rows == 4
    assert sum(prepared.left_out.values()) == 2
    assert prepared.left_out["half a character in a text"] == 1


# Mathematics

TRAIN = {"question": "Ann has 2 figs and buys 3. How many?", "answer": "She has 2+3=<<2+3=5>>5 figs.\n#### 5"}
TEST = {"question": "Bo has 9 nuts and eats 1. How many?", "answer": "He has 9-1=<<9-1=8>>8 nuts.\n#### 8"}


def gsm8k(folder: Path) -> Path:
    write_lines(folder / "train.jsonl", TRAIN, {"question": "Why?", "answer": "Because."})
    write_lines(folder / "test.jsonl", TEST)
    write_lines(folder / "train_socratic.jsonl", TRAIN)
    return folder


def test_gsm8k_keeps_its_final_answer_and_loses_the_calculator(tmp_path: Path, output: Path):
    prepared = one("gsm8k", gsm8k(tmp_path / "gsm8k"), output)
    assert made(output, "gsm8k.jsonl") == [[TRAIN["question"], "She has 2+3=5 figs.\n#### 5"]]
    assert prepared.changed == {"calculator annotations removed": 2}
    assert prepared.left_out == {"no final answer after ####": 1, "of another subset": 1}
    one("gsm8k", tmp_path / "gsm8k", output, keep_calculator=True)
    assert "<<2+3=5>>" in made(output, "gsm8k.jsonl")[0][1]


def test_the_test_split_stands_in_a_file_of_its_own_and_never_among_what_is_trained(
    tmp_path: Path, output: Path
):
    folder = gsm8k(tmp_path / "gsm8k")
    write_lines(folder / "train.jsonl", TRAIN, TEST)
    prepared = one("gsm8k", folder, output)
    assert prepared.files == ("gsm8k.jsonl", "gsm8k.test.jsonl")
    assert [row[0] for row in made(output, "gsm8k.test.jsonl")] == [TEST["question"]]
    assert [row[0] for row in made(output, "gsm8k.jsonl")] == [TRAIN["question"]]
    assert prepared.left_out["asked in the test split, too"] == 1


def test_a_file_that_calls_itself_a_test_is_only_measured_with(tmp_path: Path, output: Path):
    path = write_lines(tmp_path / "test_rows1-20.jsonl", TEST)
    assert one("gsm8k", path, output).files == ("gsm8k.test.jsonl",)
    assert not (output / "gsm8k.jsonl").exists()


def test_a_folder_called_test_around_the_files_does_not_make_them_a_test(tmp_path: Path, output: Path):
    assert one("gsm8k", write_lines(tmp_path / "test" / "train.jsonl", TRAIN), output).files == (
        "gsm8k.jsonl",
    )


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"So $x = \boxed{7}$.", "7"),
        (r"First \boxed{1}, then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"It is \fbox{B}.", "B"),
        (r"It is \boxed 3.", "3"),
        (r"The set $\boxed{\{1, 2\}}$", r"\{1, 2\}"),
        (r"\boxed{\text{even \}}", None),
        (r"Never \boxed{closed", None),
        (r"Nothing in \boxed{ }", None),
        ("None at all", None),
    ],
)
def test_the_answer_in_the_last_box_is_found(solution: str, answer: str | None):
    assert boxed(solution) == answer


def test_math_without_an_answer_that_can_be_read_is_left_out(tmp_path: Path, output: Path):
    good = {"problem": "What is $1+1$?", "level": "Level 1", "type": "Algebra", "solution": r"$\boxed{2}$"}
    folder = tmp_path / "MATH"
    write_lines(folder / "train" / "algebra" / "1.json", good)
    write_lines(folder / "train" / "algebra" / "2.json", good | {"solution": r"\boxed{2"})
    write_lines(folder / "test" / "algebra" / "1.json", good | {"problem": "What is $2+0$?"})
    prepared = one("math", folder, output)
    assert made(output, "math.jsonl") == [[good["problem"], good["solution"]]]
    assert made(output, "math.test.jsonl") == [["What is $2+0$?", good["solution"]]]
    assert prepared.left_out == {r"no answer in a \boxed that can be read": 1}
    assert "claimed the rights" in prepared.note


# Trees


def said(
    id: str, parent: str | None, text: str, rank: int | None = None, lang: str = "en", tree: str = "a"
) -> dict:
    return {
        "message_id": id,
        "parent_id": parent,
        "message_tree_id": tree,
        "text": text,
        "role": "assistant" if rank is not None else "prompter",
        "lang": lang,
        "rank": rank,
        "deleted": False,
        "review_result": True,
        "tree_state": "ready_for_export",
    }


FLAT = [
    said("a", None, "Who howls?"),
    said("a1", "a", "A dog.", rank=1),
    said("a0", "a", "A wolf.", rank=0),
    said("a00", "a0", "Where?"),
    said("a000", "a00", "In the wood.", rank=0),
    said("b", None, "Qui hurle ?", lang="fr", tree="b"),
    said("b0", "b", "Un loup.", rank=0, lang="fr", tree="b"),
]
BEST = ["Who howls?", "A wolf.", "Where?", "In the wood."]


def nested(row: dict) -> dict:
    return row | {"replies": [nested(each) for each in FLAT if each["parent_id"] == row["message_id"]]}


def as_trees(path: Path) -> Path:
    trees = [
        {"message_tree_id": row["message_id"], "prompt": nested(row)} for row in FLAT if not row["parent_id"]
    ]
    return write_lines(path, *trees)


@pytest.mark.parametrize(
    "write", [as_trees, lambda path: write_lines(path, *FLAT)], ids=["trees", "messages"]
)
def test_of_a_tree_the_best_path_is_taken_or_every_one(tmp_path: Path, output: Path, write):
    path = write(tmp_path / "oasst.jsonl")
    prepared = one("oasst1", path, output)
    assert made(output, "oasst1.jsonl") == [BEST, ["Qui hurle ?", "Un loup."]]
    assert (prepared.rows, prepared.unit) == (2, "tree")
    one("oasst1", path, output, paths="every")
    assert sorted(made(output, "oasst1.jsonl")) == sorted(
        [BEST, ["Who howls?", "A dog."], ["Qui hurle ?", "Un loup."]]
    )


@pytest.mark.parametrize(
    "write", [as_trees, lambda path: write_lines(path, *FLAT)], ids=["trees", "messages"]
)
def test_trees_in_other_languages_are_left_out_and_counted(tmp_path: Path, output: Path, write):
    path = write(tmp_path / "oasst.jsonl")
    prepared = one("oasst1", path, output, languages=("fr",))
    assert made(output, "oasst1.jsonl") == [["Qui hurle ?", "Un loup."]]
    assert (prepared.rows, prepared.left_out) == (2, {"in another language": 1})
    one("oasst1", path, output, languages=("en", "fr"))
    assert len(made(output, "oasst1.jsonl")) == 2


# Riddles


def test_riddles_come_from_tables_and_from_lists(tmp_path: Path, output: Path):
    folder = tmp_path / "riddles"
    folder.mkdir()
    with (folder / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["QUESTIONS", "ANSWERS"], ["What has hands, but no fingers? ", "clock"]])
    asks = {"riddle": "What is it?", "answer": "Tell us in the comment section below."}
    (folder / "b.json").write_text(json.dumps([{"riddle": "What falls, unhurt?", "answer": "Rain"}, asks]))
    prepared = one("riddles", folder, output)
    assert made(output, "riddles.jsonl") == [
        ["What has hands, but no fingers?", "clock"],
        ["What falls, unhurt?", "Rain"],
    ]
    assert prepared.left_out == {"the answer asks for comments on a page": 1}


# Books

HEAD = """The Project Gutenberg EBook of {title}, by {author}

This eBook is for the use of anyone anywhere at no cost.  You may copy it.


Title: {title}

Author: {author}

Language: {language}

*** START OF THIS PROJECT GUTENBERG EBOOK {title} ***




Produced by Nobody and the Online Team at
http://example.org

"""
TAIL = """

End of Project Gutenberg's {title}, by {author}

*** END OF THIS PROJECT GUTENBERG EBOOK {title} ***

Section 1.  General terms of use of the works.
"""
ENGLISH_CHAPTER = """


CHAPTER {number}. The {place}

[Illustration: THE {place}]

The heron stood by the {place} from the break of day, and never moved a
feather while the mist went up. Mr. Finch came down the path with a
basket of bread on his arm, and he set it in the grass beside the gate.
He had walked a long way that day, and his feet were _very_ sore.

"Is there room for one more in the {place}?" asked Mr. Finch.

"There is room for a hundred," said the heron. "But you must be still!"

"I was never still in my life," said Oda, who was the smallest of the
otters. The heron said: "Then you shall learn it before evening."

So they sat down together, and nobody spoke for a long time. The mist
went over the {place}, and the sun came after it. Oda counted the reeds
up to forty, and then she fell asleep with her head on the basket.

       *       *       *       *       *

      The reeds are tall,
        The {place} is deep,
      And he who waits
        Has fish to keep.

When she woke, the bread was gone. The heron had eaten it in three
bites, and he looked at the sky as if nothing at all had happened there.
Oda did not say a word to him. She only laughed, and slid into the water,
and came up far away with a fish that was longer than she was.

Then Mr. Finch took up his empty basket and went home through the wood.
He told his wife that he had seen a heron who could sit still for a whole
day, and an otter who could not do it for an hour. She did not believe him
until he showed her the crumbs at the bottom, and the feather beside them.
"""
ENGLISH_BOOK = "".join(
    ENGLISH_CHAPTER.format(number=number, place=place)
    for number, place in (("I", "POND"), ("II", "LAKE"), ("III", "RIVER"), ("IV", "MARSH"), ("V", "WEIR"))
)
FRENCH_CHAPTER = """


CHAPITRE {number}.

Le héron se tenait près de {place} depuis le lever du jour, et il ne
bougeait pas une plume pendant que la brume montait. Lise descendit le
sentier avec un panier de pain au bras. Elle avait marché longtemps ce
jour-là, et elle posa son panier dans l'herbe, à côté de la barrière.

«Y a-t-il encore une place près de {place}? demanda Lise.

--Il y a de la place pour cent, répondit le héron. Mais il faut se taire!

--Je ne me suis jamais tue de ma vie, dit-elle.

--Alors vous apprendrez avant ce soir,» dit Bruno.

Ils s'assirent donc l'un à côté de l'autre, et personne ne parla pendant
longtemps. La brume passa sur {place}, puis le soleil vint après elle.
Lise compta les roseaux jusqu'à quarante. Enfin elle s'endormit, la tête
sur le panier, et le héron mangea tout le pain en trois bouchées.

Quand elle s'éveilla, il regardait le ciel comme si rien ne s'était
passé. Lise ne lui dit pas un mot. Elle se contenta de rire, puis elle
rentra chez elle par le bois. Le soir, elle raconta toute l'histoire à
son père, qui ne voulut pas la croire avant de voir les miettes.
"""
FRENCH_BOOK = "".join(
    FRENCH_CHAPTER.format(number=number, place=place)
    for number, place in (("I", "l'étang"), ("II", "la rivière"), ("III", "la mare"), ("IV", "l'écluse"))
)


def framed(
    text: str, title: str = "The Still Heron", author: str = "Una Reed", language: str = "English"
) -> str:
    named = {"title": title, "author": author, "language": language}
    return HEAD.format(**named) + text + TAIL.format(**named)


@pytest.fixture
def english(tmp_path: Path) -> Path:
    path = tmp_path / "heron.txt"
    path.write_bytes(b"\xef\xbb\xbf" + framed(ENGLISH_BOOK).replace("\n", "\r\n").encode())
    return path


def test_what_is_not_the_story_stays_out_of_a_book_and_is_counted(english: Path, output: Path):
    prepared = one("books", english, output)
    everything = (output / "books.jsonl").read_text("utf-8")
    for other in (
        "Gutenberg",
        "eBook",
        "Produced by",
        "example.org",
        "Illustration",
        "CHAPTER",
        "_very_",
        "* ",
    ):
        assert other not in everything
    assert "very sore" in everything
    assert prepared.left_out["heading"] == 5
    assert prepared.left_out["picture"] == 5
    assert prepared.left_out["note of those who typed the book"] == 1


def test_prose_is_joined_and_verse_keeps_its_lines(english: Path):
    told = [each for section in read_book(english.read_text("utf-8")).sections for each in section]
    assert "The reeds are tall,\nThe POND is deep,\nAnd he who waits\nHas fish to keep." in told
    assert any("never moved a feather while" in each for each in told)


def text_of(path: Path) -> list[str]:
    return [paragraph for section in read_book(path.read_text("utf-8")).sections for paragraph in section]


def test_each_paragraph_stands_in_one_row_at_most(english: Path, output: Path):
    one("books", english, output)
    rows = ["\n\n".join([row[0].partition("\n\n")[2], row[1]]) for row in made(output, "books.jsonl")]
    once = [paragraph for paragraph, times in Counter(text_of(english)).items() if times == 1]
    assert len(once) > 10
    for paragraph in once:
        assert sum(row.count(paragraph) for row in rows) == 1, paragraph


def test_a_book_is_gone_on_with_word_for_word(english: Path, output: Path):
    one("books", english, output)
    book = "\n\n".join(text_of(english))
    going_on = [
        row for row in made(output, "books.jsonl") if len(row) == 2 and row[1] in book and "“" not in row[1]
    ]
    assert going_on
    for question, answer in going_on:
        given = question.partition("\n\n")[2]
        assert given in book
        assert f"{given}\n\n{answer}" in book or f"{given} {answer}" in book or answer in given


SPEAKERS = {
    "Is there room for one more": "Mr. Finch",
    "There is room for a hundred": "the heron",
    "I was never still in my life": "Oda",
    "Then you shall learn it before evening": "the heron",
}


def is_right(asked: str, answer: str, passage: str) -> str:
    """Which kind of question it is; AssertionError if the passage does not bear the answer out."""
    quoted = asked.partition("“")[2].rpartition("”")[0]
    if "who says" in asked.lower() or "who speaks" in asked.lower():
        [speaker] = [who for begin, who in SPEAKERS.items() if quoted.startswith(begin)]
        assert speaker.lower() in answer.lower()
        assert quoted in passage
        return "who says"
    if "right after" in asked or "what follows" in asked:
        assert f"{quoted} {answer}" in passage
        return "after"
    if "first sentence" in asked or "this passage begin" in asked:
        assert passage.startswith(answer)
        return "first"
    if "last sentence" in asked or "this passage end" in asked:
        assert passage.endswith(answer)
        return "last"
    if answer.startswith("Yes"):
        assert answer.partition("“")[2].rstrip("”") in passage
        return "named"
    who = next(each for each in ("Mr. Finch", "Oda", "the heron") if each in asked)
    assert answer.startswith("No")
    assert who not in passage
    return "not named"


def test_every_answer_about_a_passage_stands_in_it(english: Path):
    kinds = Counter()
    for seed in range(10):
        for turns in conversations(read_book(english.read_text("utf-8")), seed, Counter()):
            asked, _, passage = turns[0][0].partition("\n\n")
            if len(turns) == 1 and turns[0][1] in "\n\n".join(text_of(english)) and "sentence" not in asked:
                continue  # to go on with
            for question, answer in turns:
                kinds[is_right(question.partition("\n\n")[0], answer, passage)] += 1
    assert kinds.keys() >= {"who says", "after", "first", "last", "named"}


def asks_in_french(output: Path) -> bool:
    asked = [
        row[at].partition("\n\n")[0] for row in made(output, "books.jsonl") for at in range(0, len(row), 2)
    ]
    english = re.compile(r"\b(?:what|which|who|this|story|next|sentence)\b", re.I)
    return len(asked) > 4 and not any(map(english.search, asked))


def test_a_french_book_is_asked_about_in_french_whatever_its_encoding(tmp_path: Path, output: Path):
    text = framed(FRENCH_BOOK, "Le héron", "Zoé Roseau", "French")
    (tmp_path / "utf8.txt").write_text(text, "utf-8")
    (tmp_path / "latin1.txt").write_bytes(text.encode("latin-1"))
    (tmp_path / "utf16.txt").write_text(text, "utf-16")
    one("books", tmp_path / "utf8.txt", output)
    rows = (output / "books.jsonl").read_bytes()
    for name in ("latin1.txt", "utf16.txt"):
        one("books", tmp_path / name, output)
        assert (output / "books.jsonl").read_bytes() == rows
    asked = [
        row[at].partition("\n\n")[0] for row in made(output, "books.jsonl") for at in range(0, len(row), 2)
    ]
    assert asked
    assert not any(
        word in question for question in asked for word in ("passage:", "What", "Which", "Who", "story")
    )


@pytest.mark.parametrize(
    ("language", "paragraph", "expected"),
    [
        ("en", "“It is late,” said the fox. “Go home.”", [("It is late", "the fox")]),
        ("en", "‘Don’t go!’ cried poor Alice, and ran.", [("Don’t go!", "Alice")]),
        ("en", "'I'll wait,' thought old Mrs. Rabbit.", [("I'll wait", "Mrs. Rabbit")]),
        ("en", "Then the king said: ‘Come in.’", [("Come in.", "the king")]),
        ("en", "“Go,” said the king quickly.", []),
        ("en", "“Go,” said he. “Stay,” said the other.", []),
        ("en", "“Go,” said Hansel and Gretel.", []),
        ("en", "“Go,” said Alice’s sister.", []),
        ("en", "He who sat by the king and the prince said, ‘Row.’", []),
        ("en", "The men’s boat was far. ‘Row!’ he said. ‘Now,’ said Tom, and slept.", [("Now", "Tom")]),
        (
            "fr",
            "--Il y a de la place, répondit le héron. Mais pas ici!",
            [("Il y a de la place", "le héron")],
        ),
        ("fr", "« Venez ! » s’écria Briant.", [("Venez !", "Briant")]),
        ("fr", "— Non, dit-il, je viens, répondit Briant.", []),
        ("fr", "— Je viens, dit-elle.", []),
        ("fr", "— Venez, dit Jean et Marie.", []),
    ],
)
def test_who_speaks_is_taken_only_where_the_words_leave_no_doubt(language, paragraph, expected):
    assert [(speech.text, speech.who) for speech in speeches(paragraph, language)] == expected


def test_a_book_given_twice_is_taken_once(english: Path, tmp_path: Path, output: Path):
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "a.txt").write_bytes(english.read_bytes())
    (folder / "b.txt").write_text(framed(ENGLISH_BOOK), "utf-8")
    twice = one("books", folder, output)
    rows = (output / "books.jsonl").read_bytes()
    alone = one("books", english, output)
    assert rows == (output / "books.jsonl").read_bytes()
    assert twice.left_out["of a book that is given twice"] * 2 == twice.rows == alone.rows * 2


def test_a_book_without_a_frame_is_taken_whole_and_its_language_found(tmp_path: Path, output: Path):
    (tmp_path / "bare.txt").write_text(FRENCH_BOOK, "utf-8")
    one("books", tmp_path / "bare.txt", output)
    assert asks_in_french(output)


def test_a_book_in_another_language_is_refused_in_one_sentence(tmp_path: Path, output: Path):
    german = framed(ENGLISH_BOOK.replace("the", "der").replace("and", "und"), language="German")
    (tmp_path / "reiher.txt").write_text(german, "utf-8")
    with pytest.raises(DataError, match="in another language than English and French"):
        prepare(["books"], output, str(tmp_path / "reiher.txt"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Mr. Fox came. He sat.", ["Mr. Fox came.", "He sat."]),
        ("“Go!” he said. Then he went.", ["“Go!” he said.", "Then he went."]),
        ("J. R. Reed wrote it. It is long.", ["J. R. Reed wrote it.", "It is long."]),
        ("M. Reed parla. Il rit.", ["M. Reed parla.", "Il rit."]),
        ("It cost 3.5 pounds.", ["It cost 3.5 pounds."]),
    ],
)
def test_sentences_end_where_they_end(text: str, parts: list[str]):
    assert sentences(text) == parts


@pytest.mark.parametrize(
    ("text", "speaking"),
    [
        ("“Go on", True),
        ("“Go on,” he said", False),
        ("‘Don’t go. It’s late", True),
        ("‘Don’t go.’ It’s late", False),
        ("'Tis late, and so", True),
        ("He said: 'Go.' It's late", False),
        ('"Go." He went. "Stay', True),
        ("« Va ! » Il alla.", False),
    ],
)
def test_whether_somebody_is_still_speaking_is_known(text: str, speaking: bool):
    assert in_speech(text) == speaking


@pytest.mark.parametrize(
    "text",
    [
        "‘" * 50_000,
        " _a" * 20_000,
        "[illustration" * 20_000,
        "the " * 500_000,
        "A" + "-A" * 50_000 + " and",
        "‘x,’ said " + "A" * 50_000,
        " " * 500_000 + "the",
        "the\n" + "\n \t" * 200_000,
        "“the. " * 50_000,
        "*** START OF THIS PROJECT GUTENBERG " * 5_000,
    ],
    ids=range(10),
)
def test_no_text_takes_long(text: str):
    began = time.process_time()
    list(conversations(read_book("The fox and the hen and the owl.\n\n" + text), 0, Counter()))
    assert time.process_time() - began < 3


# What is written


def test_what_is_written_is_read_without_a_word(english: Path, tmp_path: Path, output: Path):
    root = tmp_path / "all"
    gsm8k(root / "gsm8k")
    as_trees(root / "oasst" / "oasst.jsonl")
    write_lines(root / "dolly" / "dolly.jsonl", *DOLLY)
    (root / "books").mkdir()
    english.rename(root / "books" / "heron.txt")
    prepared = prepare(["books", "dolly15k", "gsm8k", "oasst1"], output, str(root))
    files = [str(output / name) for each in prepared for name in each.files if ".test." not in name]
    report = read(files)
    assert report.problems == ()
    assert report.kept == sum(each.examples[f"{each.name}.jsonl"] for each in prepared)


def test_licence_source_and_hashes_stand_beside_the_rows(tmp_path: Path, output: Path):
    [dolly] = prepare(["dolly15k"], output, str(write_lines(tmp_path / "d.jsonl", *DOLLY)))
    prepare(["gsm8k"], output, str(gsm8k(tmp_path / "gsm8k")))
    about = json.loads((output / "dolly15k.about.json").read_text())
    assert about["licence"] == dolly.licence == "CC BY-SA 3.0"
    assert "databricks-dolly-15k" in about["source"]
    digest = hashlib.sha256((output / "dolly15k.jsonl").read_bytes()).hexdigest()
    assert about["files"]["dolly15k.jsonl"] == {"examples": 2, "sha256": digest}
    assert dolly.sha256 == {"dolly15k.jsonl": digest}
    assert about["read"] == {"d.jsonl": hashlib.sha256((tmp_path / "d.jsonl").read_bytes()).hexdigest()}
    page = (output / "README.md").read_text()
    for said in ("CC BY-SA 3.0", "MIT", digest, "gsm8k.test.jsonl", "no final answer after ####: 1"):
        assert said in page
    for path in output.iterdir():
        assert str(tmp_path) not in path.read_text(), "where the user keeps files is nobody's business"


def test_the_same_input_gives_the_same_bytes_and_another_seed_other_questions(
    english: Path, tmp_path: Path, output: Path
):
    def contents(folder: Path, **choices) -> dict[str, bytes]:
        prepare(["books"], folder, str(english), **choices)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    first = contents(output)
    again = tmp_path / "again"
    script = f"from core.data.prepared import prepare; prepare(['books'], {str(again)!r}, {str(english)!r})"
    subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, env=os.environ | {"PYTHONHASHSEED": "7"}
    )
    assert {path.name: path.read_bytes() for path in again.iterdir()} == first
    assert contents(output) == first
    assert contents(output, seed=1)["books.jsonl"] != first["books.jsonl"]


def test_nothing_usable_is_one_sentence_and_leaves_what_was_there(tmp_path: Path, output: Path):
    write_lines(output / "dolly15k.jsonl", {"earlier": "rows"})
    path = write_lines(tmp_path / "wrong.jsonl", {"a": 1}, {"a": 2})
    with pytest.raises(
        DataError, match=r"wrong\.jsonl can be used for dolly15k, none of 2 rows.*not a row of this"
    ):
        prepare(["dolly15k"], output, str(path))
    assert [each.name for each in output.iterdir()] == ["dolly15k.jsonl"]
    assert "earlier" in (output / "dolly15k.jsonl").read_text()


@pytest.mark.parametrize(
    ("names", "source", "sentence"),
    [
        (["trivia"], None, "There is no public set trivia: name all, or dolly15k, oasst1"),
        ([], None, "name all, or dolly15k"),
        (["books"], None, "There is no set of books on the Hub to rely on: give files with --from."),
        (["riddles"], None, "give files with --from."),
        (["dolly15k"], "nowhere.jsonl", "There is no file nowhere.jsonl"),
        (["dolly15k", "alpaca"], "nowhere", "There is no folder dolly15k in nowhere"),
        (["../x"], None, r"There is no public set \.\./x"),
    ],
)
def test_what_cannot_be_prepared_is_said_in_one_sentence(output: Path, names, source, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        prepare(names, output, source)
    assert "\n" not in str(caught.value)


def test_of_all_sets_those_that_can_be_are_prepared(tmp_path: Path, output: Path):
    write_lines(tmp_path / "all" / "dolly" / "dolly.jsonl", *DOLLY)
    (tmp_path / "all" / "riddles").mkdir()
    prepared = {each.name: each for each in prepare(["all"], output, str(tmp_path / "all"))}
    assert prepared["dolly15k"].files == ("dolly15k.jsonl",)
    assert "There is no folder gsm8k" in prepared["gsm8k"].note
    text = as_text(prepared.values())
    assert "dolly15k: 2 rows read, 2 examples, 0 left out." in text
    assert "riddles: not prepared. The folder" in text
    assert json.loads(json.dumps(as_dict(prepared.values())))["prepared"][0]["examples"] == {
        "dolly15k.jsonl": 2
    }


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "sft").write_text("a file")
    with pytest.raises(DataError, match="sft cannot be written: .*name another --output-dir"):
        prepare(["dolly15k"], tmp_path / "sft", str(write_lines(tmp_path / "d.jsonl", *DOLLY)))


def test_a_disk_that_is_full_is_one_sentence_and_leaves_nothing_behind(tmp_path: Path, output: Path):
    rows = [row | {"instruction": f"{row['instruction']} {n}"} for n in range(2000) for row in DOLLY]
    path = write_lines(tmp_path / "d.jsonl", *rows)
    script = f"""
import resource
from core.data.prepared import prepare
from core.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    prepare(["dolly15k"], {str(output)!r}, {str(path)!r})
except DataError as error:
    print(error)
"""
    child = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "dolly15k.jsonl cannot be written: File too large. Make room there" in child.stdout
    assert list(output.iterdir()) == []


def test_a_link_in_the_folder_is_replaced_and_not_followed(tmp_path: Path, output: Path):
    output.mkdir()
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    (output / "dolly15k.jsonl").symlink_to(outside)
    one("dolly15k", write_lines(tmp_path / "d.jsonl", *DOLLY), output)
    assert outside.read_text() == "mine"
    assert len(made(output, "dolly15k.jsonl")) == 2


def test_names_of_files_do_no_harm_in_what_is_shown(tmp_path: Path, output: Path):
    folder = tmp_path / "given"
    write_lines(folder / "a|b\x1b[31m.jsonl", *DOLLY)
    one("dolly15k", folder, output)
    page = (output / "README.md").read_text()
    assert "\x1b" not in page
    assert "a\\|b" in page


@pytest.mark.parametrize("damage", ["{", "[]", '{"name": "gsm8k"}', '{"files": {"a": 3}}'])
def test_what_is_written_beside_another_set_is_not_trusted(tmp_path: Path, output: Path, damage: str):
    output.mkdir()
    (output / "gsm8k.about.json").write_text(damage)
    with pytest.raises(
        DataError, match=r"gsm8k\.about\.json is not as it was written .*: delete it, and prepare gsm8k"
    ):
        prepare(["dolly15k"], output, str(write_lines(tmp_path / "d.jsonl", *DOLLY)))
    assert [each.name for each in output.iterdir()] == ["gsm8k.about.json"]


# The Hub


def test_a_set_comes_from_the_hub_with_its_test_split_and_revision(tmp_path: Path, output: Path):
    with Hub() as hub:
        repo = hub.add_repo("openai/gsm8k", type="datasets", private=False)
        front = """---
configs:
- config_name: main
  data_files:
  - {split: train, path: main/train.jsonl}
  - {split: test, path: main/test.jsonl}
---
"""
        files = {
            "README.md": File(front.encode()),
            "main/train.jsonl": File(write_lines(tmp_path / "train.jsonl", TRAIN).read_bytes()),
            "main/test.jsonl": File(write_lines(tmp_path / "test.jsonl", TEST).read_bytes()),
        }
        commit = repo.commit("main", files, "Add data", author="openai")
        script = f"from core.data.prepared import *; print(as_text(prepare(['gsm8k'], {str(output)!r})))"
        environment = os.environ | hub.environment() | {"ATELIER_CACHE": str(tmp_path / "cache")}
        child = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert child.returncode == 0, child.stderr
        assert "gsm8k: 2 rows read, 2 examples, 0 left out." in child.stdout
    assert made(output, "gsm8k.jsonl") == [[TRAIN["question"], "She has 2+3=5 figs.\n#### 5"]]
    assert made(output, "gsm8k.test.jsonl") == [[TEST["question"], "He has 9-1=8 nuts.\n#### 8"]]
    assert json.loads((output / "gsm8k.about.json").read_text())["revision"] == commit.id
