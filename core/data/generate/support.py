"""Whether a passage says what an answer says: its numbers, its names, and most of its words."""

import re
import unicodedata

from core.data.generate.lexicon import word_set

SHARE = 0.6  # of an answer's content words that must stand in the passage
STEM = 5  # letters that two forms of a word share: "protège" and "protéger", "installs" and "installing"
LONGEST_QUESTION, LONGEST_ANSWER = 500, 2000

NUMBER = re.compile(r"\d+(?:[.,:/\u00a0\u202f-]\d+)*")
WORD = re.compile(r"[^\W\d_]+(?:[’'-][^\W\d_]+)*")
SENTENCE = re.compile(r"(?:^|[.!?:;…»”\")\n]|[-•*])\s*$")
TOLD = re.compile(
    r"\b(?:the|this|given|provided|above) (?:passage|text|excerpt|context|document above)\b|"
    r"\b(?:le|ce|du|au) (?:passage|texte|extrait|contexte)\b(?: (?:ci-dessus|fourni|donné))?",
    re.IGNORECASE,
)
LITTLE = word_set(
    "the and for are was were with that this from have has had not but you your can may will its his her their they "
    "there which what when where who how into over under than then also such these those been being does did yes no "
    "les des une aux dans pour par sur avec sans sous qui que quoi dont est sont été être avoir ont elle ils elles "
    "nous vous leur leurs cette ces ses son mais plus pas très aussi comme entre ainsi donc peut peuvent doit doivent "
    "fait faire tout tous toute toutes oui non selon d’après afin lors"
)


def unsupported(question: str, answer: str, passage: str) -> str | None:
    """Why a pair is not to be learned; None if the passage bears it out."""
    if not question.strip() or not answer.strip():
        return "the question or the answer is empty"
    if len(question) > LONGEST_QUESTION or len(answer) > LONGEST_ANSWER:
        return "the question or the answer is too long"
    if TOLD.search(question) or TOLD.search(answer):
        return "it speaks of the passage, which a reader of the question does not see"
    numbers = set(NUMBER.findall(passage))
    pieces = {piece for number in numbers for piece in re.findall(r"\d+", number)} | numbers
    for number in NUMBER.findall(answer) + NUMBER.findall(question):
        if number not in pieces:
            return f"the passage does not hold the number {number}"
    known = {_plain(word) for word in WORD.findall(passage)}
    known |= {part for word in known for part in re.split(r"[’'-]", word)}
    for name in [*names(answer), *names(question)]:
        if not {_plain(name), *re.split(r"[’'-]", _plain(name))} & known:
            return f"the passage does not hold the name {name}"
    content = [word for word in map(_plain, WORD.findall(answer)) if len(word) > 2 and word not in LITTLE]
    stems = {word[:STEM] for word in known}
    found = sum(word[:STEM] in stems for word in content)
    if content and found < SHARE * len(content):
        return "most words of the answer do not stand in the passage"
    return None


def names(text: str) -> list[str]:
    """Words with a capital that no sentence begins with, and words with a capital inside."""
    found = []
    for match in WORD.finditer(text):
        word = match[0]
        inside = any(each.isupper() for each in word[1:])
        begins = SENTENCE.search(text[: match.start()]) is not None
        if inside or (word[0].isupper() and not begins and len(word) > 1):
            found.append(re.sub(r"^(?:[dlnsjcmt]|qu)[’']", "", word, flags=re.IGNORECASE))
    return found


def _plain(word: str) -> str:
    bare = unicodedata.normalize("NFD", word.casefold())
    return "".join(each for each in bare if not unicodedata.combining(each))
