"""The sample data keeps what its README promises, and fits the embedded model."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor

PRESETS = Path(__file__).resolve().parents[2] / "presets"
SAMPLES = PRESETS / "samples"
FEWEST_ROWS = {"fables-en": 150, "fables-fr": 50}
NAMES = sorted(FEWEST_ROWS)


def read_lines(name: str) -> list[str]:
    """The lines as they stand in the file, decoded strictly, without the last line's end."""
    text = (SAMPLES / f"{name}.jsonl").read_bytes().decode("utf-8")
    return text.removesuffix("\n").split("\n")


def read_rows(name: str) -> list[dict]:
    return [json.loads(line) for line in read_lines(name)]


def plain(text: str) -> str:
    """The text without case, punctuation and spacing: what two questions share if they differ in looks only."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_one_question_with_one_answer(name: str) -> None:
    for number, row in enumerate(read_rows(name), start=1):
        assert list(row) == ["question", "answer"], f"line {number}"
        for text in row.values():
            assert isinstance(text, str) and text, f"line {number}"
            assert text == text.strip() and "  " not in text, f"line {number}"


@pytest.mark.parametrize("name", NAMES)
def test_there_are_enough_rows_to_learn_from(name: str) -> None:
    assert len(read_rows(name)) >= FEWEST_ROWS[name]


@pytest.mark.parametrize("name", NAMES)
def test_no_question_is_asked_twice_so_no_two_answers_contradict_each_other(name: str) -> None:
    first_line: dict[str, int] = {}
    for number, row in enumerate(read_rows(name), start=1):
        earlier = first_line.setdefault(plain(row["question"]), number)
        assert earlier == number, f"lines {earlier} and {number} ask the same"


@pytest.mark.parametrize("name", NAMES)
def test_each_answer_has_at_least_five_questions_so_a_held_out_one_can_be_answered(name: str) -> None:
    questions: dict[str, int] = {}
    for row in read_rows(name):
        questions[row["answer"]] = questions.get(row["answer"], 0) + 1
    assert min(questions.values()) >= 5, min(questions, key=questions.__getitem__)


@pytest.mark.parametrize("name", NAMES)
def test_the_text_is_composed_unescaped_and_free_of_control_characters(name: str) -> None:
    for number, line in enumerate(read_lines(name), start=1):
        assert unicodedata.is_normalized("NFC", line), f"line {number}"
        assert r"\u" not in line, f"line {number}"
        for text in json.loads(line).values():
            # Cc: control, Cf: invisible format characters such as a zero-width space or a byte order mark.
            odd = [character for character in text if unicodedata.category(character) in {"Cc", "Cf"}]
            assert not odd, f"line {number}: {odd}"


def test_the_french_is_written_with_accents_and_french_punctuation() -> None:
    text = "".join(row["question"] + row["answer"] for row in read_rows("fables-fr"))
    assert set("éèêàçû") <= set(text)
    assert "'" not in text, "a straight apostrophe"
    assert not re.search("[^\u202f][?!;]", text), "no narrow no-break space before ? ! or ;"


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_longer_than_64_tokens_of_the_embedded_model(name: str) -> None:
    tokenizer = SentencePieceProcessor(model_file=str(PRESETS / "fable" / "tokenizer.model"))
    for number, row in enumerate(read_rows(name), start=1):
        tokens = sum(len(ids) for ids in tokenizer.encode([row["question"], row["answer"]]))
        assert tokens <= 64, f"line {number}: {tokens} tokens"


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_gives_the_true_counts(name: str) -> None:
    rows = read_rows(name)
    answers = {row["answer"] for row in rows}
    assert f"| `{name}.jsonl` | {len(rows)} | {len(answers)} |" in (SAMPLES / "README.md").read_text("utf-8")


def test_the_readme_states_the_licence() -> None:
    assert "CC0-1.0" in (SAMPLES / "README.md").read_text("utf-8")
