"""Columns of other names: the ones a person named, and guesses at what they are called in four languages.

data.columns: {"question": "QUESTIONS", "answer": "ANSWERS"}
"""

import math
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from core.data.remarks import Remark, RowError, excerpt, quoted
from core.data.rows import Row
from core.data.shapes.fields import kind
from core.data.shapes.shape import Reading

# Names in lower case, without accents and in the singular: English, French, German, Spanish.
# Left out is what names something else in many tables: user, request, target; Eingabe and Ausgabe (in- and output,
# but also expenses), entrada and salida (comings and goings).
SYNONYMS = {
    "question": (
        *("question", "query", "prompt", "instruction", "riddle", "problem", "puzzle", "input"),
        *("consigne", "devinette", "enigme", "enonce", "probleme"),
        *("frage", "anfrage", "anweisung", "aufgabe", "aufgabenstellung", "ratsel", "raetsel"),
        *("pregunta", "consulta", "instruccion", "acertijo", "adivinanza", "enunciado", "problema"),
    ),
    "answer": (
        *("answer", "response", "reply", "output", "completion", "solution"),
        "reponse",
        *("antwort", "losung", "loesung"),
        *("respuesta", "contestacion", "solucion"),
    ),
    "context": (
        *("context", "passage", "background"),
        "contexte",
        *("kontext", "hintergrund"),
        *("contexto", "pasaje"),
    ),
}
ROWS = 50  # looked at for a guess
LONGEST = 40  # characters of a name that may be a synonym


class Guess(NamedTuple):
    """What the columns of a table may mean, to be shown as a guess."""

    columns: dict[str, str]  # for Reading.columns
    remark: Remark


def find(row: Row, column: str) -> str | None:
    """The key of a row that is meant: as it is written, or else but for its case; None if there is none."""
    if column in row:
        return column
    wanted = column.strip().lower()
    found = [key for key in row if key.strip().lower() == wanted]
    return found[0] if len(found) == 1 else None


def keys(row: Row, columns: Mapping[str, str]) -> dict[str, str]:
    """What has a column -> the key of the row that is meant; RowError for the first that is not there.

    A difficulty may be missing, as the row can be learned without: `value_of` says it.
    """
    there = {name: column for name, column in columns.items() if name != "difficulty" or find(row, column)}
    return {name: _key(row, name, column) for name, column in there.items()}


def _key(row: Row, name: str, column: str) -> str:
    key = find(row, column)
    if key is not None:
        return key
    raise RowError(
        "missing-column",
        f"There is no column `{excerpt(column, 30)}` for data.columns.{name}; the columns are {quoted(row)}.",
        f"Look at the spelling in data.columns.{name}.",
    )


def value_of(row: Row, reading: Reading) -> float | None:
    """The number in the column that data.columns.difficulty names; None without such a column, or where it is empty.

    Raises RowError if the column is missing or holds something else; whoever orders by it may keep the row, and
    say the error's remark as a warning.
    """
    column = reading.columns.get("difficulty")
    if column is None:
        return None
    value = row[_key(row, "difficulty", column)]
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = float(value) if isinstance(value, (str, int, float)) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    shown = f"“{excerpt(str(value), 20)}”" if isinstance(value, (str, float)) else kind(value)
    raise RowError(
        "no-number",
        f"`{excerpt(column, 30)}` holds {shown}, which is no number, while examples are to be ordered by it.",
        "Write a number, or leave it empty.",
    )


def guess(rows: Sequence[Row]) -> Guess | None:
    """Which columns may hold questions, answers and contexts, judged by their names; None if that is not clear.

    ["QUESTIONS", "ANSWERS"] -> both        ["nom", "fonction"] -> None        ["Frage", "Antwort A", "Antwort B"] -> None
    """
    rows = rows[:ROWS]
    names = dict.fromkeys(key for row in rows for key in row if len(key) <= LONGEST)
    meant: dict[str, list[str]] = {name: [] for name in SYNONYMS}
    for key in names:
        name = _meaning(key)
        if name and sum(type(row.get(key)) is str and row[key] != "" for row in rows) * 2 >= len(rows):
            meant[name].append(key)
        elif name in ("question", "answer"):
            return None  # one that is mostly empty makes the others doubtful
    if len(meant["question"]) != 1 or len(meant["answer"]) != 1 or len(meant["context"]) > 1:
        return None
    columns = {name: keys[0] for name, keys in meant.items() if keys}
    return Guess(columns, _as_a_guess(columns))


def _as_a_guess(columns: dict[str, str]) -> Remark:
    taken = ", ".join(f"`{excerpt(key, LONGEST)}` as {name}" for name, key in columns.items())
    flags = (f"--data.columns.{name} {shlex.quote(excerpt(key, LONGEST))}" for name, key in columns.items())
    return Remark(
        "guessed-columns",
        f"The columns have no names that are known; by what they resemble, this is a guess: {taken}.",
        f"Confirm it, or name other columns: {' '.join(flags)}",
    )


@lru_cache(maxsize=1024)
def _meaning(key: str) -> str | None:
    """What a column of this name would hold, if that can be told."""
    plain = "".join(
        each for each in unicodedata.normalize("NFKD", key.casefold()) if not unicodedata.combining(each)
    )
    words = re.findall(r"[a-z]+", plain)
    if len(words) != 1 or re.search(r"\d|[^\W_a-z]", plain):
        return None
    for name, synonyms in SYNONYMS.items():
        if any(words[0] in (each, each + "s", each + "es", each + "n", each + "en") for each in synonyms):
            return name
    return None
