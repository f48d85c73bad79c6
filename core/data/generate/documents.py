"""What a document is made of, whatever it is written in: records with fields, and sections of prose."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Language = Literal["en", "fr"]


@dataclass(frozen=True, slots=True)
class Passage:
    """Where something stands: the first and last line (the first of a file is 1), and its text, cleaned."""

    file: str
    first: int
    last: int
    text: str


class Field(NamedTuple):
    """A property of a record: `parts` are its values where it holds several, else the one."""

    name: str
    value: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a catalogue, row of a table, or card with fields."""

    name: str
    fields: tuple[Field, ...]
    section: str  # the heading it stands under; empty if none
    passage: Passage
    noun: str = ""  # what the document calls such a thing, if a column says so: "software", "logiciel"
    marked: Literal["column", "heading"] = "heading"  # what names its fields

    def get(self, name: str) -> Field | None:
        return next((each for each in self.fields if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph or list item of a section, with the words that are bold in it."""

    text: str
    first: int
    last: int
    item: bool = False
    depth: int = 0  # of a list item, 0 for the outermost
    bold: tuple[str, ...] = ()
    lead: str = ""  # the bold words that it begins with


@dataclass(frozen=True, slots=True)
class Section:
    """The prose under one heading, up to the next one. Where code or a table stood, something is missing."""

    heading: str
    blocks: tuple[Block, ...]
    passage: Passage
    until: int | None = None  # how many blocks stand before the first thing that is missing
    more: bool = False  # whether entries or something that is missing stand there, too


@dataclass
class Document:
    """A file that was read. `left_out` counts what was not, by reason."""

    file: str
    sha256: str
    kind: Literal["table", "text"]
    language: Language = "en"
    title: str = ""
    apostrophe: str = "'"
    licence: str = "licence"  # as this document spells it
    records: list[Record] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
