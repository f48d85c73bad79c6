"""Documents -> facts -> questions and answers, by rules: every answer is what stands in a document, or follows from it."""

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from core.data.generate import french
from core.data.generate.documents import Block, Document, Field, Passage, Record, Section
from core.data.generate.fields import SENTENCE_END, key_of, kind_of, shown
from core.data.generate.lexicon import word_set
from core.data.generate.phrases import as_question, is_advice, is_thing
from core.data.generate.phrasings import FRAMES
from core.data.generate.tables import tidy_value
from core.data.generate.voice import TITLE_PREFIX, Slots, Voice, capital, lower_first

LONGEST_ANSWER = 1500  # characters; a longer section is asked about in parts
LONGEST_QUOTE = 160  # characters of a description that a question quotes
MOST_NAMED = 8  # entries that one answer names
ROUNDS = 4  # phrasings of one fact, if fewer do not make as many rows as were asked for
FEW_RECORDS, MOST_ASKED = 2_000, 20_000  # records of which each is asked about by itself
MOST_PLACES = 1  # questions for each section that ask where something is said
YES_OR_NO = 0.4  # of the values are asked about so
PAIRS_TRIED = 2  # neighbours with which an entry is compared

Group = Literal["one", "several", "not said"]


class Fact(NamedTuple):
    """Something to ask about: frames and what fills them. `owners` are the passages that it draws on."""

    kind: str
    group: Group
    voice: Voice
    slots: Slots
    owners: tuple[str, ...]  # keys of the records and sections
    passages: tuple[Passage, ...]
    titled: bool = False  # the question must say which document is meant


class Pair(NamedTuple):
    question: str
    answer: str
    passages: tuple[Passage, ...]
    owners: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Made:
    """All facts, and in which passages they stand: owner -> block of owners that stay together."""

    facts: tuple[Fact, ...]
    blocks: dict[str, str]


def facts(documents: Sequence[Document], seed: int, left_out: Counter[str], wanted: int = MOST_ASKED) -> Made:
    """What can be asked about the documents, in no order that matters: all of it, or enough for `wanted` rows."""
    found: list[Fact] = []
    asked = _asked(documents, seed, wanted)
    blocks: dict[str, str] = {}
    ambiguous = _ambiguous(documents)
    names = Counter(key_of(record.name) for document in documents for record in document.records)
    headings = Counter(key_of(section.heading) for document in documents for section in document.sections)
    bold = Counter(
        key_of(phrase)
        for document in documents
        for section in document.sections
        for block in section.blocks
        for phrase in set(block.bold)
    )
    for document in documents:
        voice = Voice(document, several=len(documents) > 1)
        catalogue = _Catalogue(document, voice, ambiguous, names, asked, seed, left_out)
        found += catalogue.facts()
        blocks |= catalogue.blocks()
        for section in document.sections:
            owner = key_of_passage(section.passage)
            blocks[owner] = owner
            found += _Prose(voice, section, headings, bold, left_out).facts()
    return Made(tuple(found), blocks)


def key_of_passage(passage: Passage) -> str:
    return f"{passage.file}:{passage.first}-{passage.last}"


def _asked(documents: Sequence[Document], seed: int, wanted: int) -> set[int]:
    """The records (by id()) that are asked about one by one: of many more than are needed, as many by lot.

    What is said of several records together is judged by all of them, always.
    """
    records = [record for document in documents for record in document.records]
    most = min(MOST_ASKED, max(FEW_RECORDS, 2 * wanted))
    if len(records) > most:
        records.sort(key=lambda record: lot(seed, key_of_passage(record.passage)))
    return {id(record) for record in records[:most]}


def _ambiguous(documents: Sequence[Document]) -> set[tuple[str, str]]:
    """(name, field) of which the documents give different values: the name alone does not say which is meant."""
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    times: Counter[str] = Counter()
    for document in documents:
        for record in document.records:
            name = key_of(record.name)
            times[name] += 1
            for field in record.fields:
                values[name, key_of(shown(field.name))].add(field.value)
            values[name, ""].add(record.section.casefold())
            values[name, "*"].add(str(sorted(field.value for field in record.fields)))
    return {
        key for key, different in values.items() if len(different) > 1 or times[key[0]] > 1 and key[1] == "*"
    }


class _Catalogue:
    """The records of one document, and what is asked about one or several of them."""

    def __init__(
        self,
        document: Document,
        voice: Voice,
        ambiguous: set[tuple[str, str]],
        names: Counter[str],
        asked: set[int],
        seed: int,
        left_out: Counter[str],
    ) -> None:
        self.asked = asked
        self.document = document
        self.voice = voice
        self.ambiguous = ambiguous
        self.names = names
        self.left_out = left_out
        self.random = random.Random(f"{seed} {document.sha256}")
        self.records = document.records
        self.sections: dict[str, list[Record]] = defaultdict(list)
        for record in self.records:
            self.sections[record.section].append(record)
        self.split_sections = self._split_sections()
        self.usual = Counter(field.name for record in self.records for field in record.fields)
        self.usual_in = {
            section: Counter(field.name for record in records for field in record.fields)
            for section, records in self.sections.items()
        }
        descriptions = [self._description(record) for record in self.records]
        self.described = Counter(_bare(field.value) for field in descriptions if field)

    def blocks(self) -> dict[str, str]:
        """Small sections stay together, so that a question about all of one can be on a side; larger ones do not."""
        most = max(1, len(self.records) // 25)
        found = {}
        for section, records in self.sections.items():
            together = bool(section) and len(records) <= most
            for record in records:
                owner = key_of_passage(record.passage)
                found[owner] = f"{self.document.file}#{section}" if together else owner
        # Namesakes say the same with the same words.
        first: dict[str, str] = {}
        for record in self.records:
            owner = key_of_passage(record.passage)
            found[owner] = first.setdefault(key_of(record.name), found[owner])
        return found

    def facts(self) -> Iterator[Fact]:
        for record in self.records:
            if id(record) in self.asked:
                yield from self._about(record)
        for section, records in self.sections.items():
            yield from self._about_section(section, records)
        yield from self._shared()
        yield from self._compared()

    # One record

    def _about(self, record: Record) -> Iterator[Fact]:
        base = self._base(record)
        description = self._description(record)
        for field in record.fields:
            if self._is_ambiguous(record, field.name):
                self.left_out["facts about a name that stands for several entries with different values"] += 1
            elif field is description:
                yield from self._described(record, field, base)
            else:
                yield from self._field(record, field, base)
        section = self.voice.quoted(record.section)
        if record.section and (key_of(record.name), "") not in self.ambiguous:
            yield self._fact("section", record, base | {"S": section})
        if not self._is_ambiguous(record, "*") and len(record.fields) > 1:
            yield from self._overview(record, description, base)
        yield from self._not_said(record, base)

    def _field(self, record: Record, field: Field, base: Slots) -> Iterator[Fact]:
        kind = kind_of(field.name)
        value = self.voice.value(field)
        slots = self.voice.field_slots(field.name)
        if slots is None:
            name = self.voice.quoted(field.name.strip(" :"))
            yield self._fact("quoted-field", record, base | {"F": name, "V": value})
            return
        slots = base | slots | {"V": value, "licence": self.document.licence}
        if kind == "licence" and len(shown(field.name).split()) == 1:
            if field.value.casefold().startswith(("licence", "license")):
                kind = "field"
            yield self._fact("licence" if kind == "licence" else "field", record, slots)
        elif kind == "platform" and field.name == "platform":
            yield self._fact("platform", record, slots)
        else:
            yield self._fact("field", record, slots)
        if len(field.parts) == 1 and len(field.value) <= 40 and kind != "year" and _is_singular(slots):
            yield from self._yes_or_no(record, field, slots)

    def _yes_or_no(self, record: Record, field: Field, slots: Slots) -> Iterator[Fact]:
        others = sorted(
            {
                self.voice.value(other)
                for each in self.random.sample(self.records, min(20, len(self.records)))
                for other in each.fields
                if other.name == field.name and len(other.parts) == 1 and len(other.value) <= 40
            }
            - {slots["V"]}
        )
        others = [each for each in others if each.casefold() != slots["V"].casefold()]
        if others and self.usual[field.name] > 2 and self.random.random() < YES_OR_NO:
            if self.random.random() < 0.5:
                yield self._fact("is", record, slots)
            else:
                yield self._fact("is-not", record, slots | {"W": self.random.choice(others)})

    def _described(self, record: Record, field: Field, base: Slots) -> Iterator[Fact]:
        voice = self.voice
        text = _sentence(field.value)
        short = tidy_value(field.value)
        function = voice.language == "fr" and field.name.casefold() != "description"
        slots = base | {"D": text, "about_S": self._about_section_sentence(record)}
        field_slots = voice.field_slots(field.name)
        if function and field_slots and len(short) <= 200:
            lowered = lower_first(short)
            values = {"T": voice.quoted(short), "V_capital": capital(short), "V_lower": lowered}
            yield self._fact("function", record, base | field_slots | values)
        else:
            yield self._fact("description", record, slots)
        bare = _bare(field.value)
        alone = self.described[bare] == 1 and key_of(record.name) not in key_of(field.value)
        if (
            alone
            and not SENTENCE_END.search(short)
            and 12 <= len(short) <= LONGEST_QUOTE
            and self.names[key_of(record.name)] == 1
        ):
            slots = base | voice.entry_slots(record) | {"T": voice.quoted(short)}
            yield self._fact("reverse", record, slots)

    def _overview(self, record: Record, description: Field | None, base: Slots) -> Iterator[Fact]:
        """All fields in sentences, after the description."""
        voice = self.voice
        others = [field for field in record.fields if field is not description and len(field.value) <= 80]
        if description is None or not others:
            return
        sentences = []
        for field in others[:10]:
            value = voice.value(field)
            name = capital(shown(field.name)) if voice.field_slots(field.name) else field.name.strip(" :")
            if voice.language == "en" and kind_of(field.name) == "licence":
                name = capital(self.document.licence)
            colon = f"{french.NO_BREAK}:" if voice.language == "fr" else ":"
            sentences.append(f" {name}{colon} {value}.")
        yield self._fact(
            "overview", record, base | {"D": _sentence(description.value), "details": "".join(sentences)}
        )

    def _not_said(self, record: Record, base: Slots) -> Iterator[Fact]:
        beside = self.sections[record.section]
        for name, times in self.usual_in[record.section].items():
            usual = times * 3 >= len(beside) * 2 and times > 2 and f"{name}:" not in record.passage.text
            if usual and record.get(name) is None and self.names[key_of(record.name)] == 1:
                slots = self.voice.field_slots(name)
                if slots and name != "description":
                    yield self._fact("not-said", record, base | slots)._replace(group="not said")

    # Several records

    def _about_section(self, section: str, records: list[Record]) -> Iterator[Fact]:
        times = len({record.passage.first for record in records})
        if not section or times < 2 or section in self.split_sections or len(self.sections) < 2:
            return
        names = list(dict.fromkeys(record.name for record in records))
        if len(names) != len(records):
            return
        slots = self._section_slots(section, records[0], len(records))
        slots |= {"n": str(len(records)), "L": self.voice.listed([self.voice.name(name) for name in names])}
        kind = "count" if len(names) <= MOST_NAMED else "long-count"
        yield self._several(kind, records, slots)
        if len(names) <= MOST_NAMED:
            yield self._several("list", records, slots)

    def _split_sections(self) -> set[str]:
        """Headings that come again after others: each of their sections is only a part of what they name."""
        found, ended, before = set(), set(), None
        for record in self.records:
            if record.section != before:
                if record.section in ended:
                    found.add(record.section)
                ended.add(before)
                before = record.section
        return found

    def _shared(self) -> Iterator[Fact]:
        """Which entries have this value, in the whole document or in a section."""
        scopes = (
            [("", self.records), *self.sections.items()] if len(self.sections) > 1 else [("", self.records)]
        )
        for section, records in scopes:
            if section and section in self.split_sections:
                continue
            holders: dict[tuple[str, str], list[Record]] = defaultdict(list)
            spelt: dict[tuple[str, str], str] = {}
            for record in records:
                for field in record.fields:
                    for part in field.parts:
                        key = (
                            field.name,
                            key_of(part.replace("&", " et " if self.voice.language == "fr" else " and ")),
                        )
                        spelt.setdefault(key, tidy_value(part))
                        holders[key].append(record)
            for key, found in holders.items():
                name, value = key[0], spelt[key]
                different = len({key_of(record.name) for record in found}) == len(found)
                fits = 2 <= len(found) <= MOST_NAMED and different and len(value) <= 60
                if not fits or kind_of(name) in ("version", "year") or len(found) == len(records):
                    continue
                yield from self._which(name, value, found, section)

    def _which(self, name: str, value: str, found: list[Record], section: str) -> Iterator[Fact]:
        voice = self.voice
        slots = self._section_slots(section, found[0], len(found))
        slots |= {
            "V": voice.part(name, value),
            "n": str(len(found)),
            "L": voice.listed([voice.name(record.name) for record in found]),
        }
        named = voice.field_slots(name)
        if named is None:
            yield self._several("quoted-which", found, slots | {"F": voice.quoted(name.strip(" :"))})
        elif _is_singular(named):
            yield self._several("which", found, slots | named)

    def _compared(self) -> Iterator[Fact]:
        """Two entries of a section, side by side."""
        for records in self.sections.values():
            drawn = [record for record in records if id(record) in self.asked]
            self.random.shuffle(drawn)
            for at, one in enumerate(drawn):
                for other in drawn[at + 1 : at + 1 + PAIRS_TRIED]:
                    yield from self._two(one, other)

    def _two(self, one: Record, other: Record) -> Iterator[Fact]:
        voice = self.voice
        if key_of(one.name) == key_of(other.name) or any(
            self.names[key_of(each.name)] > 1 for each in (one, other)
        ):
            return
        slots = voice.name_slots(one.name) | voice.name_slots(other.name, "Y")
        slots |= self._section_slots(one.section, one, 2)
        shared, sayable = [], True
        for field in one.fields:
            same = other.get(field.name)
            if same is None:
                continue
            named = voice.field_slots(field.name)
            usable = named is not None and _is_singular(named)
            value, theirs = voice.value(field), voice.value(same)
            if value.casefold() == theirs.casefold():
                if not usable:
                    sayable = False
                    continue
                shared.append(_same_in_words(voice, named, value))
                if len(one.fields) > 1:
                    yield self._several("same", [one, other], slots | named | {"V": value})
            elif usable and self._differ(field, same):
                kind = self.random.choice(("different", "not-same"))
                yield self._several(kind, [one, other], slots | named | {"V": value, "W": theirs})
        if shared and sayable and len(shared) <= 4:
            common = voice.listed(shared)
            yield self._several("common", [one, other], slots | {"C": common})

    @staticmethod
    def _differ(one: Field, other: Field) -> bool:
        """Whether two values are short, of a kind that is compared, and have nothing in common."""
        comparable = kind_of(one.name) in ("licence", "other") and max(len(one.value), len(other.value)) <= 80
        return comparable and not set(one.parts) & set(other.parts)

    # What fills the frames

    def _description(self, record: Record) -> Field | None:
        return next((field for field in record.fields if kind_of(field.name) == "description"), None)

    def _is_ambiguous(self, record: Record, name: str) -> bool:
        key = name if name == "*" else key_of(shown(name))
        return self.names[key_of(record.name)] > 1 and (key_of(record.name), key) in self.ambiguous

    def _base(self, record: Record) -> Slots:
        return self.voice.name_slots(record.name)

    def _about_section_sentence(self, record: Record) -> str:
        if not record.section:
            return ""
        section = self.voice.quoted(record.section)
        if self.voice.language == "fr":
            return f" Rubrique : {section}."
        return f" It is listed under {section}."

    def _section_slots(self, section: str, record: Record, number: int) -> Slots:
        voice = self.voice
        quoted = voice.quoted(section)
        where = {"fr": f" de la partie {quoted}", "en": f" under {quoted}"}[voice.language] if section else ""
        scope = where
        if not section:
            slots = voice.document_slots(False)
            where = {"fr": f" {slots.get('du_doc', '')}", "en": f" of {slots['le_doc']}"}[voice.language]
        return voice.entry_slots(record, number) | {"S": quoted, "in_S": where, "of_S": scope}

    def _fact(self, kind: str, record: Record, slots: Slots) -> Fact:
        return Fact(kind, "one", self.voice, slots, (key_of_passage(record.passage),), (record.passage,))

    def _several(self, kind: str, records: Sequence[Record], slots: Slots) -> Fact:
        owners = tuple(dict.fromkeys(key_of_passage(record.passage) for record in records))
        return Fact(kind, "several", self.voice, slots, owners, tuple(record.passage for record in records))


def _is_singular(field_slots: Slots) -> bool:
    return field_slots.get("is_F", field_slots.get("est_F")) in ("is", "est")


def _same_in_words(voice: Voice, named: Slots, value: str) -> str:
    if voice.language == "fr":
        return f"{named['meme_F']} ({value})"
    return f"the same {named['F']} ({value})"


def _sentence(text: str) -> str:
    """A description as a sentence of its own, ended by a full stop."""
    text = capital(text.strip())
    return text if text.endswith((".", "!", "?", "…")) else f"{text.rstrip(' ;,:')}."


def _bare(text: str) -> str:
    return key_of(text)


# Prose

REFERRING = re.compile(
    r"(?:cette?|ces?|celui|celles?|ceux|ceci|cela|il|ils|elles?|également|par ailleurs|en effet|de plus|this|these|that|"
    r"those|it|they|he|she|also|moreover|however|therefore|thus)\b",
    re.IGNORECASE,
)
GENERIC_HEADINGS = word_set(
    "introduction conclusion overview contents sommaire résumé summary abstract références references notes note "
    "annexe annexes appendix ressources resources license licence contributing about bibliographie glossaire"
)


class _Prose:
    """One section: asked about as a whole if it is short enough, and by the phrases that its author made bold."""

    def __init__(
        self,
        voice: Voice,
        section: Section,
        headings: Counter[str],
        bold: Counter[str],
        left_out: Counter[str],
    ) -> None:
        self.voice = voice
        self.section = section
        self.headings = headings
        self.bold = bold
        self.left_out = left_out
        self.owner = key_of_passage(section.passage)
        self.heading = TITLE_PREFIX.sub("", section.heading).strip(" :")

    def facts(self) -> Iterator[Fact]:
        if not self.heading:
            self.left_out["passages without a heading, about which no question can be asked by rules"] += 1
            return
        yield from self._whole()
        yield from self._lists()
        yield from self._points()

    def _whole(self) -> Iterator[Fact]:
        blocks = self.section.blocks[: self.section.until]
        chosen, length = [], 0
        for block in blocks:
            if length + len(block.text) > LONGEST_ANSWER:
                break
            chosen.append(block)
            length += len(block.text) + 2
        while chosen and len(chosen) < len(blocks) and chosen[-1].text.rstrip().endswith(":"):
            chosen.pop()
        text = _text(chosen) if chosen else ""
        if len(text) < 40 or len(text.split()) < 8:
            self.left_out["sections too short or with too long paragraphs to be an answer"] += 1
            return
        if REFERRING.match(chosen[0].text):
            self.left_out["texts that refer to what stands before them"] += 1
            return
        slots = self._topic(self.heading) | {"D": text}
        if self._is_title():
            yield self._fact("intro", slots, chosen)
            return
        if len(chosen) < len(blocks) or self.section.more:
            yield self._fact("text-begin", slots, chosen)
            return
        yield self._fact("text", slots, chosen)
        asked = as_question(self.heading, self.voice.language)
        if asked:
            kind, filling = asked
            yield self._fact(kind, slots | filling, chosen)

    def _lists(self) -> Iterator[Fact]:
        """The phrases with which the items of a list begin, as a list."""
        items = [block for block in self.section.blocks if block.item and block.depth == 0]
        leads = [block.lead.rstrip(" .:;\u00a0") for block in items]
        good = [lead for lead in leads if 3 < len(lead) <= 200]
        if len(items) >= 2 and len(good) == len(items) and all(map(_is_whole_lead, items)):
            text = "\n".join(f"- {capital(lead)}" for lead in good)
            yield self._fact("points", self._topic(self.heading) | {"D": text}, items)

    def _points(self) -> Iterator[Fact]:
        places = 0
        for block in self.section.blocks:
            text = _own_text(block)
            if (
                block.depth
                or text.endswith(":")
                or not 40 <= len(text) <= LONGEST_ANSWER
                or REFERRING.match(text)
            ):
                continue
            for phrase in block.bold:
                phrase = phrase.strip(" .:;,\u00a0")
                advice = is_advice(phrase, self.voice.language)
                if not self._is_topic(phrase, advice) or len(text) < len(phrase) + 30:
                    continue
                topic = self._topic(phrase) | {"S": self.voice.quoted(self.heading), "D": _sentence(text)}
                yield self._fact("advice" if advice else "point", topic, [block])
                known = advice or self._is_title() or key_of(phrase) in key_of(self.heading)
                if self.headings[key_of(self.section.heading)] == 1 and not known and places < MOST_PLACES:
                    places += 1
                    yield self._fact("where", topic, [block])

    def _is_topic(self, phrase: str, advice: bool) -> bool:
        """Whether "what is said about ..." can be asked of a phrase: a piece of advice, or a thing, and only here."""
        if self.bold[key_of(phrase)] > 1 or not 4 <= len(phrase) <= LONGEST_QUOTE:
            return False
        if len(key_of(phrase).split(" ")) < 2 and not phrase.isupper():
            return False
        return advice or is_thing(phrase, self.voice.language)

    def _topic(self, phrase: str) -> Slots:
        return {"T": self.voice.quoted(phrase)}

    def _fact(self, kind: str, slots: Slots, blocks: Sequence[Block]) -> Fact:
        passage = self.section.passage
        text = "\n".join(block.text for block in blocks)
        whole = Passage(passage.file, blocks[0].first, blocks[-1].last, text)
        return Fact(kind, "one", self.voice, slots, (self.owner,), (whole,), self._needs_title())

    def _is_title(self) -> bool:
        return bool(self.voice.title) and key_of(self.heading) == key_of(self.voice.title)

    def _needs_title(self) -> bool:
        key = key_of(self.heading)
        return self.voice.several and (
            self.headings[key_of(self.section.heading)] > 1 or key in GENERIC_HEADINGS
        )


def _text(blocks: Sequence[Block]) -> str:
    """Blocks as an answer: items of a list on lines of their own, paragraphs apart."""
    found = ""
    for before, block in zip([None, *blocks[:-1]], blocks, strict=True):
        if before is not None:
            found += "\n" if block.item or before.item and block.item else "\n\n"
        found += block.text
    return found.strip()


def _own_text(block: Block) -> str:
    text = block.text.strip()
    return re.sub(r"^(?:- |\d+\. )", "", text) if block.item else text


def _is_whole_lead(block: Block) -> bool:
    """Whether the bold words that an item begins with can stand alone: they end where a sentence or clause does."""
    rest = _own_text(block)[len(block.lead) :].lstrip("\u00a0 ")
    if REFERRING.match(block.lead):
        return False
    return not rest or rest[0] in ".:;,(–—" or block.lead.rstrip().endswith((".", ":"))


# Facts -> pairs


class Writer:
    """Puts facts into words; no question twice, no phrasing twice for a passage until all were used."""

    def __init__(self, seed: int, left_out: Counter[str]) -> None:
        self.seed = seed
        self.left_out = left_out
        self._asked: dict[str, str] = {}
        self._used: dict[tuple[str, ...], set[str]] = defaultdict(set)

    def write(self, fact: Fact, turn: int) -> Pair | None:
        """The fact as a question and answer; `turn` counts how often it was asked. None if no new phrasing is left."""
        frames = FRAMES[fact.voice.language][fact.kind]
        if turn >= len(frames.questions):
            return None
        drawn = random.Random(f"{self.seed} {fact.kind} {fact.owners} {sorted(fact.slots.items())}")
        questions = drawn.sample(range(len(frames.questions)), len(frames.questions))
        answers = drawn.sample(range(len(frames.answers)), len(frames.answers))
        used = self._used[fact.owners]
        fresh = [at for at in questions if frames.questions[at] not in used] or questions[turn:]
        slots = fact.slots | fact.voice.document_slots(fact.voice.several)
        for at in fresh:
            if fact.titled and "doc}" not in frames.questions[at]:
                continue
            question = fact.voice.fill(frames.questions[at], slots)
            answered = frames.answers[answers[turn % len(answers)]]
            answer = fact.voice.fill(answered, slots)
            if not answered.startswith(("{X}", "{Y}", "{V}", "{L}")):  # names begin as they are written
                answer = capital(answer)
            key = normal(question)
            if key not in self._asked:
                self._asked[key] = answer
                used.add(frames.questions[at])
                return Pair(question, answer, fact.passages, fact.owners, fact.kind)
        self.left_out["questions that would have been asked twice"] += 1
        return None


def normal(question: str) -> str:
    """What two questions share that differ in nothing but case, spaces and punctuation."""
    return " ".join(re.findall(r"\w+", question.casefold()))


def lot(seed: int, *texts: str) -> str:
    """A lot that is the same in every Python, unlike hash()."""
    return hashlib.sha256("\n".join([str(seed), *texts]).encode("utf-8", "surrogatepass")).hexdigest()
