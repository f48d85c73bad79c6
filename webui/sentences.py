"""Core's sentences in another language. Core speaks English and has filled its values in already; a sentence is known by
the words around them.

catalogue = Catalogue({"There is no run called {}.": "Il n’y a pas d’exécution nommée {}."})
catalogue.translated("There is no run called 'poems'.")        "Il n’y a pas d’exécution nommée 'poems'."

What was filled in may be a sentence itself, a number, or a list; what stands in quotation marks is kept as it is.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from string import Formatter

WEAK = 6  # letters: with fewer, as in `{} of {}`, a template would find itself in texts of others
LONGEST = 2_000  # characters of a text, or of a line of a longer one, that is read
MOST_PARTS = 30  # of such a text
AHEAD = 8  # parts that may be one sentence
DEEPEST = 12  # sentences within sentences
MOST_READ = 150_000  # characters for one text, every part that is looked at counted: at most 50 ms
LONG = 400  # letters of a text that is a list, or a value with a remark; longer ones are sentences
NO_BREAK = "\u00a0"
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]{2}")
_WHOLE = re.compile(r"\w+")
_UNTOUCHED = re.compile(r"(?<![\w\0])\w+(?![\w\0])")
_SENTENCE = re.compile(r"[.!?…] +[A-Z`“]")
_ENDS = re.compile(r"((?<=[.;:!?…]) |\n)")
_OPENING, _CLOSING = "“\"'`«", "”\"'`»"
_NAMED = re.compile(r"[\w*][./=_-]\Z")  # what is filled in after this is a part of a name
_AMOUNT = re.compile(r"([−+-]?\d[\d,.]*%?) (\S.*)", re.DOTALL)
_REMARKED = re.compile(r"(\S.*) \((.+)\)", re.DOTALL)
_BESIDE = re.compile(r"[ ,;.]")


@dataclass(frozen=True)
class Template:
    """A sentence with gaps, and what it is in the other language, where gaps may come in another order."""

    literals: tuple[str, ...]  # one more than gaps
    translated: str
    weak: bool
    kept: tuple[bool, ...]  # of each gap: whether it is a name, in quotation marks or part of a longer one

    def gaps(self, text: str) -> list[str] | None:
        """What stands in the gaps, each as short as can be; None if this is another sentence."""
        first, *middle, last = self.literals
        if not text.startswith(first) or not text.endswith(last):
            return None
        found, at, end = [], len(first), len(text) - len(last)
        for literal in middle:
            there = text.find(literal, at, end)
            if there < 0:
                return None
            found.append(text[at:there])
            at = there + len(literal)
        return [*found, text[at:end]] if at <= end else None


class Catalogue:
    """Sentences of one language by the English ones. `numbers` writes a text's numbers as that language does."""

    def __init__(self, sentences: Mapping[str, str], numbers: Callable[[str], str] = str) -> None:
        self.sentences = sentences
        self.numbers = numbers
        self._short = lru_cache(maxsize=5_000)(self._read)

    def translated(self, text: str) -> str:
        """The text in the other language, as far as its parts are known; what is very long stays as it is."""
        return self._short(text) if len(text) <= LONGEST else self._read(text)

    def _read(self, text: str) -> str:
        reading = _Reading(self)
        if _is_short(text):
            return _like(text, reading.translated(text))
        return "".join(_like(line, reading.translated(line)) for line in text.splitlines(keepends=True))

    def found(self, text: str) -> Iterator[tuple[Template, list[str]]]:
        """Sentences with gaps that this may be, the most particular first, and what stands in the gaps."""
        return _Reading(self).found(text)

    def exactly(self, text: str) -> str | None:
        return self.sentences.get(text) or self.sentences.get(text[0].lower() + text[1:])

    def templates_for(self, text: str) -> list[Template]:
        """Those whose rarest word is in the text, the most particular first."""
        by_word, others = self._templates
        found = [each for word in set(_WHOLE.findall(text)) for each in by_word.get(word, ())]
        return [template for _, template in sorted([*found, *others], key=lambda ranked: ranked[0])]

    @cached_property
    def _templates(self) -> tuple[dict[str, list[tuple[int, Template]]], list[tuple[int, Template]]]:
        """Sentences with gaps, each with its rank, by their rarest word; and those that have no whole word."""
        made = [_template(key, text) for key, text in self.sentences.items() if "{}" in key]
        made.sort(key=_particular, reverse=True)
        words = [_words(template) for template in made]
        often = Counter(word for each in words for word in each)
        by_word: dict[str, list[tuple[int, Template]]] = defaultdict(list)
        others: list[tuple[int, Template]] = []
        for ranked, each in zip(enumerate(made), words, strict=True):
            (by_word[min(each, key=often.__getitem__)] if each else others).append(ranked)
        return by_word, others


class _Reading:
    """One text that is being translated: what has been looked at so far, for no more work than it is worth.

    `known(text)` is the text in the other language, or None if a word of it that may be core's is not known.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._seen: dict[str, str | None] = {}
        self._read = 0
        self._depth = 0

    def known(self, text: str) -> str | None:
        self._read += 10 if text in self._seen else len(text)
        if text not in self._seen:
            if self._read > MOST_READ or self._depth >= DEEPEST:
                return None
            self._depth += 1
            self._seen[text] = self._known(text)
            self._depth -= 1
        return self._seen[text]

    def _known(self, text: str) -> str | None:
        if (bare := text.strip()) != text:
            inner = self.known(bare) if bare else ""
            return None if inner is None else text.replace(bare, inner, 1) if bare else text
        if not _WORD.search(text):
            return self._catalogue.numbers(text)
        found = self._catalogue.exactly(text) or self._filled(text) or self._in_turn(text)
        if found is None and len(text) < LONG:
            found = self._listed(text) or self._amount(text) or self._remarked(text)
        return found

    def translated(self, text: str) -> str:
        if self._read > MOST_READ or self._depth >= DEEPEST or not _is_short(text):
            return text
        if (known := self.known(text)) is not None:
            return known
        self._depth += 1
        said = self._in_pieces(text)
        self._depth -= 1
        return said

    def _in_pieces(self, text: str) -> str:
        if (bare := text.strip()) != text:
            return text.replace(bare, self.translated(bare), 1)
        around = [(template, gaps) for template, gaps in self.found(text) if not template.weak]
        within = [each for each in around if not any(map(self._swallowed, each[1]))]
        if within:
            return self._fill(*within[0])
        said = self._as_far_as_known(text)
        return said if said != text or not around else self._fill(*around[0])

    def _swallowed(self, gap: str) -> bool:
        """Whether the end of a sentence is in it, and perhaps another sentence."""
        return _SENTENCE.search(gap) is not None and self.known(gap) is None

    def _filled(self, text: str) -> str | None:
        """By the most particular template of which every gap is known. One that leaves the end of the sentence to its last
        gap comes after the others: it is more likely a part of one."""
        known = [(template, gaps) for template, gaps in self.found(text) if all(map(self._plain, gaps))]
        whole = [each for each in known if each[0].literals[-1] or not text.endswith(".")]
        return self._fill(*(whole or known)[0]) if known else None

    def found(self, text: str) -> Iterator[tuple[Template, list[str]]]:
        for template in self._catalogue.templates_for(text):
            if (gaps := template.gaps(text)) is not None:
                for at, literal in enumerate(template.literals[1:-1]):
                    if not literal.strip():  # nothing between two gaps, or a space
                        gaps[at : at + 2] = self._apart(*gaps[at : at + 2], literal)
                yield template, gaps

    def _fill(self, template: Template, gaps: Sequence[str]) -> str:
        filled = (gap if kept else self._gap(gap) for gap, kept in zip(gaps, template.kept, strict=True))
        return template.translated.format(*filled)

    def _gap(self, gap: str) -> str:
        return gap if _in_quotes(gap) else self.translated(gap)

    def _plain(self, gap: str) -> bool:
        """Whether this is a value, or known."""
        return " " not in gap or _in_quotes(gap) or self.known(gap) is not None

    def _apart(self, one: str, other: str, between: str) -> tuple[str, str]:
        """Two gaps that stand side by side: each known, if there is a way to part them so."""
        text = f"{one}{between}{other}"
        for at in (*(sign.start() for sign in _BESIDE.finditer(text)), len(text)):
            left, right = text[:at], text[at + len(between) :]
            if (
                text.startswith(between, at)
                and left.strip()
                and self._plain(left)
                and self.known(right) is not None
            ):
                return left, right
        return (one, other) if between else (text, "")

    def _in_turn(self, text: str) -> str | None:
        """Several sentences, one after the other, each as long as can be."""
        parts = _ENDS.split(text)
        said, at = "", 0
        while at < len(parts):
            end, found = self._longest(parts, at)
            if found is None:
                return None
            said, at = said + found + "".join(parts[end : end + 1]), end + 1
        return said or None

    def _as_far_as_known(self, text: str) -> str:
        parts = _ENDS.split(text)
        said, at = "", 0
        while at < len(parts):
            end, found = self._longest(parts, at)
            said, at = said + (found or parts[at]) + "".join(parts[end : end + 1]), end + 1
        return said

    def _longest(self, parts: list[str], at: int) -> tuple[int, str | None]:
        """Where the longest known text that begins at this part ends, though not all parts at once; None for what is not
        known."""
        for end in range(min(at + 2 * AHEAD - 1, len(parts) if at else len(parts) - 2), at, -2):
            part = "".join(parts[at:end])
            if (found := self.known(part)) is not None:
                return end, found
            if (
                part.endswith(":") and len(part) > 1 and (found := self.known(part[:-1])) is not None
            ):  # a label
                return end, f"{_like(part, found)}{NO_BREAK}:"
        return at + 1, None

    def _listed(self, text: str) -> str | None:
        """`a, b and c`, each a word of ours or a value."""
        for between in ("; ", ", ", " and ", " or "):
            parts = list(_items(text, between))
            if len(parts) > 1 and all(map(self._plain, parts)):
                joined = self._catalogue.sentences.get(between.strip())
                return (f" {joined} " if joined else between).join(map(self._gap, parts))
        return None

    def _amount(self, text: str) -> str | None:
        """A number with what it counts: `60% English`."""
        found = _AMOUNT.fullmatch(text)
        what = found and (self._catalogue.exactly(found[2]) or self.known(found[2]))
        return f"{self._catalogue.numbers(found[1])} {what}" if what else None

    def _remarked(self, text: str) -> str | None:
        """A value with a remark in brackets behind it."""
        found = _REMARKED.fullmatch(text)
        remark = found and self._plain(found[1]) and self.known(found[2])
        return f"{self._gap(found[1])} ({remark})" if remark else None


def _template(key: str, translated: str) -> Template:
    literals = [""]
    for literal, field, *_ in Formatter().parse(key):
        literals[-1] += literal
        if field is not None:
            literals.append("")
    return Template(
        literals=tuple(literals),
        translated=translated,
        weak=len(_LETTER.findall("".join(literals))) < WEAK,
        kept=tuple(_is_name(before, after) for before, after in zip(literals, literals[1:], strict=False)),
    )


def _is_short(text: str) -> bool:
    return len(text) <= LONGEST and len(_ENDS.findall(text)) < MOST_PARTS


def _is_name(before: str, after: str) -> bool:
    """Whether what stands between these is one: in quotation marks, or grown together with what is before it."""
    quoted = before[-1:] and after[:1] and before[-1] in _OPENING and after[0] in _CLOSING
    return bool(quoted or _NAMED.search(before))


def _particular(template: Template) -> tuple[int, int]:
    """How much of it is no gap; a colon parts more than a comma."""
    said = "".join(template.literals)
    return len(said), said.count(":")


def _words(template: Template) -> set[str]:
    """Its whole words: none that a gap may continue."""
    return set(_UNTOUCHED.findall("\0".join(template.literals)))


def _items(text: str, between: str) -> Iterator[str]:
    """Parts of a list; what is in brackets or quotation marks stays together."""
    item = ""
    for part in text.split(between):
        item = f"{item}{between}{part}" if item else part
        if item.count("(") == item.count(")") and item.count("“") == item.count("”"):
            yield item
            item = ""
    if item:
        yield item


def _in_quotes(text: str) -> bool:
    """Whether all of it is one quotation."""
    at = _OPENING.find(text[0]) if len(text) > 1 else -1
    return at >= 0 and text[-1] == _CLOSING[at] and not {text[0], text[-1]} & set(text[1:-1])


def _like(text: str, translated: str) -> str:
    """With a capital where the English has one."""
    return translated[0].upper() + translated[1:] if text[:1].isupper() and translated else translated
