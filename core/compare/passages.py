"""Documents -> passages, and the passages that share a question's rarest words (BM25, Robertson and Zaragoza 2009).

index = Index(passages(documents))
index.search("Où est l'œuvre ?", most=4)
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.data.generate.documents import Document
from core.data.generate.languages import language_of
from core.data.generate.lexicon import word_set
from core.evaluate.metrics import CHARACTER_IS_WORD

LONGEST = 800  # characters of a passage, about 200 tokens; what is longer is cut where a sentence ends
SHORTEST = 20  # characters that can say anything
# What nearly every question holds, whatever it is about. Left out of questions alone: in a passage they do no harm, and
# a word that is little in one language ("or", "pour", "on") may be what a passage in the other is about.
LITTLE = {
    "en": word_set(
        "a an the of to in on at by for from with about into and or but not no if is are was were be been am do does did has "
        "have had can could will would shall should may might must it its this that these those there here he she they we "
        "you i me my your his her our their them us him what which who whom whose when where why how as than then so"
    ),
    "fr": word_set(
        "le la les un une des du de au aux en dans sur sous par pour avec sans chez et ou mais ne pas ni si est sont etait "
        "etaient ete etre a ont avait il elle ils elles on nous vous je tu me te se moi toi lui leur leurs son sa ses mon "
        "ma mes ton ta tes notre nos votre vos ce cet cette ces cela ca qui que quoi dont ou quel quelle quels quelles quand "
        "comment pourquoi combien y plus tres aussi comme"
    ),
}
POLICY = (
    "Words are compared without accents, capitals, a final s or x and what stands before an apostrophe (l’, d’, qu’); "
    "nothing else of their endings is taken off. Little words of English or French are left out of questions."
)
ELISION = re.compile(r"^'*(?:[cdjlmnst]|(?:[jl]us|lors|puis|quoi)?qu)'(?=[^'])")
POSSESSIVE = re.compile(r"'s$")
APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "`": "'"})
LIGATURES = str.maketrans({"œ": "oe", "æ": "ae"})
SENTENCE_END = re.compile(r"(?<=[.!?…»])\s+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that is shown as a whole."""

    file: str
    first: int  # its lines; the first of a file is 1
    last: int
    about: str  # the headings above it; empty if none
    text: str

    @property
    def shown(self) -> str:
        return f"{self.about}\n{self.text}" if self.about else self.text


def passages(documents: Sequence[Document]) -> list[Passage]:
    """Paragraphs of a section, as many as go into one passage, and each entry of a table or catalogue; each text once."""
    found: dict[str, Passage] = {}
    for document in documents:
        for passage in _passages(document):
            if len(passage.text) >= SHORTEST:
                found.setdefault(passage.shown, passage)
    return list(found.values())


class Index:
    """Finds passages by words. The same question finds the same passages, in the same order."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        from bm25s import BM25

        self.passages = passages
        # Its defaults (k1 1.5, b 0.75, as Lucene weighs) are what most systems use; numba must not be picked up by chance.
        self._scores = BM25(backend="numpy", csc_backend="numpy")
        self._scores.index([terms(passage.shown) for passage in passages], show_progress=False)

    def search(self, question: str, most: int) -> list[int]:
        """Numbers of the passages that share words with the question, the best first; none if no passage does."""
        wanted = query(question)
        if not wanted:
            return []
        scores = self._scores.get_scores(wanted)
        best = np.argsort(-scores, kind="stable")[:most]
        return [int(number) for number in best if scores[number] > 0]


def query(question: str) -> list[str]:
    """The words that a question is looked for by; all of them where little words are all that it has."""
    words, little = _words(question), LITTLE[language_of(question)]
    return [_singular(word) for word in words if word not in little] or [*map(_singular, words)]


def terms(text: str) -> list[str]:
    """Words as they are compared: "L’œuvre des Élèves" -> ["oeuvre", "des", "eleve"]."""
    return [_singular(word) for word in _words(text)]


def _words(text: str) -> list[str]:
    text = _folded(text).translate(APOSTROPHES)
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return [
        part
        for word in CHARACTER_IS_WORD.sub(r" \1 ", kept).split()
        for part in POSSESSIVE.sub("", ELISION.sub("", word)).split("'")
        if part
    ]


def _folded(text: str) -> str:
    """Without capitals and, on Latin letters, accents; in other scripts marks are vowels."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(LIGATURES)
    if text.isascii():
        return text
    kept, latin = [], False
    for each in unicodedata.normalize("NFD", text):
        if not unicodedata.combining(each):
            latin = each.isascii() or "LATIN" in unicodedata.name(each, "")
        elif latin:
            continue
        kept.append(each)
    return unicodedata.normalize("NFC", "".join(kept))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] in "sx" else word


def _passages(document: Document) -> Iterator[Passage]:
    for section in document.sections:
        about = _about(document.title, section.heading)
        pieces = [(block.first, block.last, text) for block in section.blocks for text in _pieces(block.text)]
        batch: list[tuple[int, int, str]] = []
        for piece in pieces:
            if batch and sum(len(text) + 1 for *_, text in batch) + len(piece[2]) > LONGEST:
                yield _joined(document.file, about, batch)
                batch = []
            batch.append(piece)
        if batch:
            yield _joined(document.file, about, batch)
    for record in document.records:
        stands = record.passage
        for text in _pieces(stands.text):
            yield Passage(
                stands.file, stands.first, stands.last, _about(document.title, record.section), text
            )


def _about(*headings: str) -> str:
    return " – ".join(dict.fromkeys(filter(None, headings)))


def _joined(file: str, about: str, batch: Sequence[tuple[int, int, str]]) -> Passage:
    return Passage(file, batch[0][0], batch[-1][1], about, "\n".join(text for *_, text in batch))


def _pieces(text: str) -> Iterator[str]:
    """The text, or where it is too long its sentences, as many together as go; a sentence that is too long, in parts."""
    piece = ""
    for sentence in SENTENCE_END.split(text) if len(text) > LONGEST else [text]:
        for begin in range(0, len(sentence), LONGEST):
            part = sentence[begin : begin + LONGEST]
            if piece and len(piece) + 1 + len(part) > LONGEST:
                yield piece
                piece = ""
            piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece
