"""A book -> conversations: passages to go on with, and questions that the passage itself answers.

Each paragraph stands in one row at most, so that a row that is held out shares no text with the others. Asked
is only what the words of a passage settle: how it begins and ends, which sentence comes next, who says what
where the text says it (“...,” said Alice), and who is named. A seed chooses what is asked, and in which words.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from core.data.prepared.books import Book, Language, in_speech, sentences, words
from core.data.prepared.phrases import FRENCH, PHRASES, Phrases
from core.data.prepared.speech import name_of, speeches

Turn = tuple[str, str]  # a question, its answer

PASSAGE = 140  # words that a passage should have; whole paragraphs, so it has more or fewer
SHORTEST = 60  # words; of a passage, and a half of it is asked for, or given, in a row that goes on
LONGEST = 320  # words; one of the paragraph before is not joined to a rest beyond it
QUESTIONS = 3  # about one passage, at most
SPEECH = re.compile(r"[“”«»‘\"]|^[—–-]|(?:^|\s)'|'(?:\s|$)")  # what a paragraph without speech has not
OPENING_QUOTE = re.compile(r"[“«\"]|(?<!\w)[‘'](?=\w)|^[—–-]", re.M)


def conversations(book: Book, seed: int, left_out: Counter[str]) -> Iterator[list[Turn]]:
    """Of every two passages one is to go on with and one is asked about, as far as they are fit for that.

    Paragraphs that are in no row are counted in `left_out`, by reason.
    """
    if book.language is None:
        left_out["in another language than English and French"] += sum(map(len, book.sections))
        return
    language: Language = book.language
    chance = random.Random(f"{seed} {book.key}")
    everyone = cast(book, language)
    # Shuffled, so that the plan of a book, such as chapters of two passages, decides nothing.
    deck: list[bool] = []
    for section in book.sections:
        told = " ".join(section)
        nearby = [who for who in everyone if name_of(who) in told]
        cut = passages(section)
        left_out["too short a section"] += len(section) - sum(map(len, cut))
        for passage in cut:
            if not deck:
                deck = [True, False]
                chance.shuffle(deck)
            continued = _continuation(passage, book, PHRASES[language], chance)
            asked = _questions(passage, language, nearby, chance)
            turns = (continued or asked) if deck.pop() else (asked or continued)
            if turns:
                yield turns
            else:
                left_out["too short to cut, and nothing certain to ask"] += len(passage)


def passages(section: Sequence[str]) -> list[list[str]]:
    """A section's paragraphs in passages; none of a section that is shorter than the shortest passage."""
    cut: list[list[str]] = []
    now: list[str] = []
    for paragraph in section:
        now.append(paragraph)
        if sum(map(words, now)) >= PASSAGE:
            cut.append(now)
            now = []
    rest = sum(map(words, now))
    if rest >= SHORTEST:
        cut.append(now)
    elif now and cut and sum(map(words, cut[-1])) + rest <= LONGEST:
        cut[-1] += now
    return cut


def cast(book: Book, language: Language) -> list[str]:
    """Those who speak at least three times and have a name, in order of the alphabet."""
    times: dict[str, int] = {}
    for section in book.sections:
        for paragraph in section:
            for speech in speeches(paragraph, language):
                times[speech.who] = times.get(speech.who, 0) + 1
    return sorted(who for who, spoken in times.items() if spoken >= 3 and name_of(who))


def _continuation(passage: list[str], book: Book, phrases: Phrases, chance: random.Random) -> list[Turn]:
    """The passage cut near its middle, between paragraphs or else sentences; nothing if it is too short."""
    halves = _halves(passage, "\n\n") or (_halves(sentences(passage[0]), " ") if len(passage) == 1 else None)
    if halves is None:
        return []
    asked = chance.choice(phrases.go_on)
    if book.title and chance.random() < 0.5:
        title = phrases.quoted.format(book.title)
        if book.author and chance.random() < 0.5:
            title = phrases.by.format(title=title, author=book.author)
        asked = chance.choice(phrases.go_on_named).format(title=title)
    return [(f"{asked}\n\n{halves[0]}", halves[1])]


def _halves(parts: list[str], joint: str) -> Turn | None:
    """What is given and what is asked for, about as long; None if a half would be too short."""
    total = sum(map(words, parts))
    cuts = [(joint.join(parts[:at]), joint.join(parts[at:])) for at in range(1, len(parts))]
    long_enough = [
        (given, wanted)
        for given, wanted in cuts
        if min(words(given), words(wanted)) * 2 >= SHORTEST and (joint == "\n\n" or not in_speech(given))
    ]
    return min(long_enough, key=lambda cut: abs(2 * words(cut[0]) - total), default=None)


def _questions(
    passage: list[str], language: Language, nearby: list[str], chance: random.Random
) -> list[Turn]:
    """Up to three questions, those about who speaks first; the passage stands with the first of them.

    That somebody is not named is asked only beside other things: alone it teaches little but to say no.
    """
    phrases = PHRASES[language]
    spoken = _about_speech(passage, language, phrases, chance)
    chance.shuffle(spoken)
    chosen = spoken[: QUESTIONS - 1] + _about_sentences(passage, phrases, chance)
    named, absent = _about_names(passage, phrases, nearby, chance)
    if named and (not absent or chance.random() < 0.6):
        chosen += named
    elif chosen:
        chosen += absent
    chosen = chosen[:QUESTIONS]
    chance.shuffle(chosen)
    if chosen:
        question, answer = chosen[0]
        chosen[0] = "\n\n".join([question, *passage]), answer
    return chosen


def _about_speech(
    passage: list[str], language: Language, phrases: Phrases, chance: random.Random
) -> list[Turn]:
    whole = "\n\n".join(passage)
    said = [speech for paragraph in passage for speech in speeches(paragraph, language)]
    asked: list[Turn] = []
    for speech in said:
        text = speech.text if words(speech.text) <= 25 else sentences(speech.text)[0]
        if whole.count(text) > 1 or not 3 <= words(text) <= 25 or set(text) & set("“”«»"):
            continue
        ways, answers = (
            (phrases.who_thinks, phrases.thinker) if speech.thought else (phrases.who_says, phrases.speaker)
        )
        question = chance.choice(ways).format(text=phrases.quoted.format(text))
        answer = chance.choice(answers).format(who=speech.who, Who=_capital(speech.who))
        asked.append((question if phrases is FRENCH else f"{question}?", answer))
    if len(said) == 1 and said[0].whole and not said[0].thought and len(OPENING_QUOTE.findall(whole)) == 1:
        question = chance.choice(phrases.what_says).format(who=said[0].who)
        asked = [(question, phrases.quoted.format(said[0].text))]
    return asked


def _about_sentences(passage: list[str], phrases: Phrases, chance: random.Random) -> list[Turn]:
    """One question about the place of a sentence of which it is certain where it begins and ends."""
    whole = "\n\n".join(passage)
    asked: list[Turn] = []
    first, last = _certain(passage[0]), _certain(passage[-1])
    if first and first[0] is not None:
        asked.append((chance.choice(phrases.first), first[0]))
    if last and last[-1] is not None:
        asked.append((chance.choice(phrases.last), last[-1]))
    for paragraph in passage:
        for one, following in pairwise(_certain(paragraph)):
            if one and following and max(words(one), words(following)) <= 50 and whole.count(one) == 1:
                question = chance.choice(phrases.after).format(text=phrases.quoted.format(one))
                asked.append((question if phrases is FRENCH else f"{question}?", following))
    return [chance.choice(asked)] if asked else []


def _about_names(
    passage: list[str], phrases: Phrases, nearby: list[str], chance: random.Random
) -> tuple[list[Turn], list[Turn]]:
    """Whether one of the people is named, with the sentence that does it; and the same of one who is not."""
    whole = "\n\n".join(passage).lower()
    present = [
        (who, sentence)
        for who in nearby
        for paragraph in passage
        for sentence in _certain(paragraph)
        if sentence and words(sentence) <= 40 and re.search(rf"\b{re.escape(name_of(who))}\b", sentence)
    ]
    absent = [who for who in nearby if name_of(who).split()[-1].lower() not in whole]
    yes, no = [], []
    if present:
        who, sentence = chance.choice(present)
        said = chance.choice(phrases.yes).format(text=phrases.quoted.format(sentence))
        yes = [(chance.choice(phrases.named).format(who=who), said)]
    if absent:
        who = chance.choice(absent)
        no = [(chance.choice(phrases.named).format(who=who), chance.choice(phrases.no).format(who=who))]
    return yes, no


def _certain(paragraph: str) -> list[str | None]:
    """The paragraph's sentences, with None for those of which it is not certain where they begin and end.

    Certain are those of four words and more between full stops, in a paragraph in which nobody speaks; “Ah!”
    may end a sentence, or stand in its middle.
    """
    if SPEECH.search(paragraph) or "\n" in paragraph:
        return []
    parts = sentences(paragraph)
    sure: list[str | None] = []
    stopped = True
    for number, part in enumerate(parts, 1):
        begun, stopped = stopped, part.endswith(".") and not part.endswith("..")
        sure.append(part if begun and (stopped or number == len(parts)) and words(part) >= 4 else None)
    return sure


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
