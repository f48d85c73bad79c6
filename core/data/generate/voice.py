"""How a document is spoken of, and how names, values and lists stand in a sentence, in its language."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from core.data.generate import french
from core.data.generate.documents import Document, Field, Record
from core.data.generate.fields import NOUNS, key_of, kind_of, shown
from core.data.generate.french import Noun
from core.data.generate.tables import tidy_value

Slots = dict[str, str]

EN_DOCUMENTS = {
    "guide": "guide",
    "handbook": "handbook",
    "manual": "manual",
    "catalogue": "catalogue",
    "catalog": "catalog",
    "policy": "policy",
    "faq": "FAQ",
    "glossary": "glossary",
    "report": "report",
    "readme": "document",
}
FR_DOCUMENTS = {
    "guide": Noun("guide", False),
    "manuel": Noun("manuel", False),
    "catalogue": Noun("catalogue", False),
    "fiche": Noun("fiche", True),
    "charte": Noun("charte", True),
    "notice": Noun("notice", True),
    "politique": Noun("politique", True),
    "faq": Noun("FAQ", True),
    "glossaire": Noun("glossaire", False),
    "rapport": Noun("rapport", False),
    "reglement": Noun("règlement", False),
    "procedure": Noun("procédure", True),
}
TITLE_PREFIX = re.compile(
    r"^(?:fiche|chapitre|partie|section|annexe|article|chapter|part|appendix)\s+(?:n\s*[°ºo]\s*)?[\dIVX]+\s*[:.–—-]\s*",
    re.I,
)
# Numbers, versions, acronyms and names such as GitHub; other words are put in quotation marks.
PLAIN_VALUE = re.compile(r"[^\s«»“”]*\d[^\s«»“”]*|[A-Z]{2,}[^\s«»“”a-z]*|[A-Z][a-z]+[A-Z]\w*")
LONGEST_TITLE = 80


@dataclass
class Voice:
    """`several`: other documents were read as well, so that "the document" alone does not say which."""

    document: Document
    several: bool = False

    def __post_init__(self) -> None:
        self.language = self.document.language
        self.title = TITLE_PREFIX.sub("", self.document.title).strip()
        self._noun = self._document_noun()

    def _document_noun(self) -> Noun | str:
        document = self.document
        words = key_of(f"{document.title} {PurePath(document.file).stem}").split()
        table = FR_DOCUMENTS if self.language == "fr" else EN_DOCUMENTS
        named = next((table[word] for word in words[:12] if word in table), None)
        if named:
            return named
        if self.language == "fr":
            if document.kind == "table":
                return Noun("tableau", False)
            listed = len(document.records) > 2 * len(document.sections)
            return Noun("catalogue", False) if listed else Noun("document", False)
        if document.kind == "table":
            return "table"
        return "list" if len(document.records) > 2 * len(document.sections) else "document"

    def fill(self, frame: str, slots: Slots) -> str:
        """A frame with its slots; a slot that begins a sentence may be asked for with a capital."""
        apostrophe = self.document.apostrophe
        text = frame.replace("’", apostrophe) if apostrophe != "’" else frame
        text = text.format_map(_Capitals(slots))
        if self.language == "fr":
            text = french.spaced(text)
        return re.sub(r"(?<=[^.])\.\.(?!\.)", ".", text)

    def document_slots(self, titled: bool) -> Slots:
        """`titled`: whether the document is named by its title, too."""
        title = f" {self.quoted(self.title)}" if 0 < len(self.title) <= LONGEST_TITLE else ""
        after = title if titled else ""
        if isinstance(self._noun, Noun):
            le, du = self._apostrophe(self._noun.le), self._apostrophe(self._noun.du)
            return {
                "le_doc": le + after,
                "du_doc": du + after,
                "le_titled": le + title,
                "du_titled": du + title,
                "il_doc": "elle" if self._noun.feminine else "il",
            }
        return {"le_doc": f"the {self._noun}{after}", "le_titled": f"the {self._noun}{title}"}

    def entry_slots(self, record: Record | None, number: int = 2) -> Slots:
        """What the document calls its entries."""
        singular, plural, feminine = NOUNS.get(record.noun if record else "", ("", "", False))
        if self.language == "en":
            if not singular or record.noun in (
                "logiciel",
                "produit",
                "outil",
                "projet",
                "livre",
                "pays",
                "ville",
            ):
                singular, plural = "entry", "entries"
            return {
                "entries": plural,
                "entries_n": singular if number == 1 else plural,
                "are": "is" if number == 1 else "are",
                "have": "has" if number == 1 else "have",
            }
        if not singular or record.noun in ("software", "product", "app", "tool", "project", "book", "city"):
            singular, plural, feminine = "entrée", "entrées", True
        word, words = Noun(singular, feminine), Noun(plural, feminine, True)
        return {
            "entree": singular,
            "entrees": plural,
            "entrees_n": singular if number == 1 else plural,
            "quels_entrees": words.quel,
            "quel_entree": word.quel,
            "le_entree": self._apostrophe(word.le),
            "e_entree": "e" * feminine,
            "d_entrees": self._apostrophe(french.de(plural)),
        }

    def name_slots(self, name: str, letter: str = "X") -> Slots:
        name = self.name(name)
        if self.language == "en":
            return {letter: name}
        return {letter: name, f"de_{letter}": self._apostrophe(french.de(name))}

    def field_slots(self, name: str) -> Slots | None:
        """The field's name in a sentence; None in French if its gender cannot be told."""
        text = shown(name)
        if self.language == "en":
            if kind_of(name) == "licence":
                text = re.sub(r"licen[cs]e", self.document.licence, text)
            last = text.split(" ")[-1]
            plural = last.endswith("s") and not last.endswith(("ss", "us", "is"))
            return {"F": text, "is_F": "are" if plural else "is"}
        noun = french.noun(text)
        if noun is None:
            return None
        return {
            "F": noun.text,
            "le_F": self._apostrophe(noun.le),
            "du_F": self._apostrophe(noun.du),
            "quel_F": noun.quel,
            "quel_est": f"{noun.quel.split(' ')[0]} {'sont' if noun.plural else 'est'}",
            "est_F": "sont" if noun.plural else "est",
            "indique_F": noun.agree("indiqué"),
            "e_F": "e" * noun.feminine + "s" * noun.plural,
            "il_F": "elle" if noun.feminine else "il",
            "meme_F": noun.meme,
            "celui_F": noun.celui,
        }

    def name(self, name: str) -> str:
        """A name in a sentence; in quotation marks if it reads as a phrase of ordinary words."""
        words = name.split(" ")
        ordinary = sum(word.islower() and len(word) > 1 for word in words)
        return self.quoted(name) if len(words) > 2 and ordinary * 2 >= len(words) else name

    def value(self, field: Field) -> str:
        """A field's value in a sentence: numbers, versions and licences as they are, words in quotation marks."""
        return self.listed([self.part(field.name, part) for part in field.parts])

    def part(self, name: str, value: str) -> str:
        value = tidy_value(value)
        bare = kind_of(name) in ("licence", "platform") and len(value) <= 40
        return value if bare or PLAIN_VALUE.fullmatch(value) else self.quoted(value)

    def quoted(self, text: str) -> str:
        if self.language == "en":
            inner = re.sub(r'["“]([^"“”]*)["”]', r"‘\1’", text)
            return f"“{inner}”"
        space = french.NO_BREAK
        inner = re.sub(r"«\s*([^»]*?)\s*»", r"“\1”", text)
        return f"«{space}{inner}{space}»"

    def listed(self, items: Sequence[str]) -> str:
        if len(items) < 2:
            return "".join(items)
        joined = "; ".join(items[:-1]) if any("," in each for each in items) else ", ".join(items[:-1])
        return f"{joined} {'et' if self.language == 'fr' else 'and'} {items[-1]}"

    def _apostrophe(self, text: str) -> str:
        """The apostrophe of an article as this document writes it."""
        return re.sub(r"^((?:de )?[dl])’", rf"\g<1>{self.document.apostrophe}", text)


class _Capitals(dict[str, str]):
    """{Le_F} is {le_F} with a capital."""

    def __missing__(self, key: str) -> str:
        for name in (key[:1].lower() + key[1:], key):
            if name in self.keys():
                return capital(dict.__getitem__(self, name))
        raise KeyError(key)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower_first(text: str) -> str:
    """Without the capital that only begins a sentence: "Éditeur HTML" -> "éditeur HTML", "IAM", "GNU" as they are."""
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first[1:].islower() and len(first) > 1 else text
