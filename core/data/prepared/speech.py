"""What a text itself says who says: “It is late,” said the fox.

Taken is only what leaves no doubt: a name, or one or two small words with a stop right behind them, next to a
verb of saying. Pronouns, and whoever only the story around would tell, are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.data.prepared.books import Language


@dataclass(frozen=True, slots=True)
class Speech:
    text: str
    who: str
    thought: bool  # not said aloud
    whole: bool  # all that is said, as far as the quotation marks tell


SAYING: dict[Language, str] = {
    "en": "said|cried|asked|answered|replied|exclaimed|shouted|remarked|whispered|repeated|added|returned",
    "fr": "dit|répondit|répond|demanda|demande|s[’']écria|s[’']écrie|cria|crie|répliqua|reprit|reprend|fit"
    "|murmura|ajouta|ajoute|observa|déclara|répéta|répète",
}
THINKING: dict[Language, str] = {"en": "thought", "fr": "pensa|se dit|songea"}
# Atomic, so that of “Hansel and Gretel”, who are two, not “Hanse” is found.
NAME = r"(?>[A-ZÀ-ÖØ-Þ][\w’'-]{0,40}(?: [A-ZÀ-ÖØ-Þ][\w’'-]{0,40}){0,4})"
WHO: dict[Language, str] = {
    "en": r"(?:(?:old|poor|little|good|young|dear) )*"  # poor Alice is Alice
    r"(?P<who>(?:the (?:(?:old|poor|little|good|young) )*)?(?:(?:Mr|Mrs|Miss|Dr)\.? )?"
    rf"{NAME}(?! and\b| or\b)|the (?:[a-z]+ )?[a-z]+(?=[,.;:!]))",
    "fr": rf"(?P<who>(?:(?:le|la|les|maître|monsieur|madame) |l[’'])?{NAME}(?! et\b| ou\b)"
    r"|(?:le |la |l[’'])[a-zà-ÿœ]+(?=[,.;:!]))",
}
NO_ONE = re.compile(  # the king quickly, the other, the voice, the man who
    r"\b(?:\w+ly|again|others?|one|first|second|third|rest|last|then|now|too|once|more|aloud|while|same|voice"
    r"|next|former|latter|who|that|which|whom|I|He|She|It|They|We|You"
    r"|Il|Elle|On|Je|Ils|Elles|autres?|un|une|premier|voix|dernier|même|qui|que)\b|[’']s$"
)
QUOTES: dict[Language, tuple[str, ...]] = {
    "en": (
        r"“(?P<text>[^“”]+?[,!?.])”",
        r"(?<!\w)‘(?P<text>(?:(?![,.!?]’\s)[^‘\n])+?[,!?.])’",
        r'"(?P<text>[^"\n]+?[,!?.])"',
        r"(?<![\w'])'(?=\S)(?P<text>(?:(?!\s')(?![,.!?]'\s).)+?[,!?.])'",
    ),
    "fr": (r"(?:^[—–-]+\s*|«\s*)(?P<text>[^«»—\n]+?(?:[,!?…]|,\s*»|[!?…]\s*»,?))",),
}
# The fox said: “...”, where a sentence begins; after “and” it may be somebody named long before who speaks.
ENGLISH_BEFORE = (
    rf"(?:^|(?<!Mr)(?<!Mrs)(?<!Dr)[.!?][”’»\"']?\s)(?:(?:But|And|Then|So|Now|At last) )?"
    rf"(?P<who>[Tt]he (?:[a-z]+ )?[a-z]+|(?:[Tt]he )?{NAME}) (?:{SAYING['en']})(?: to \w+)?[:,]\s"
)
SPOKEN: dict[Language, list[re.Pattern[str]]] = {
    language: [
        re.compile(
            rf"{quote}\s+(?:(?P<thought>{THINKING[language]})|(?:{SAYING[language]}))\s+{WHO[language]}"
        )
        for quote in quotes
    ]
    for language, quotes in QUOTES.items()
}
SPOKEN["en"] += [re.compile(rf"{ENGLISH_BEFORE}{quote}(?P<thought>(?!))?") for quote in QUOTES["en"]]
INSERTED = re.compile(r"\b(?:\w+-t-|\w+-)(?:il|elle|on|ils|elles|je)\b")  # « Oui, dit-il, je viens »


def speeches(paragraph: str, language: Language) -> Iterator[Speech]:
    """What the paragraph says who says; French lines of dialogue go on after that, and only » ends them."""
    for pattern in SPOKEN[language]:
        for found in pattern.finditer(paragraph):
            text, who = found["text"].rstrip("» ,\u00a0\u202f").strip(), found["who"].rstrip("’'-")
            who = f"the {who[4:]}" if who.startswith("The ") else who
            if text and not NO_ONE.search(who) and not (language == "fr" and INSERTED.search(text)):
                yield Speech(text, who, found["thought"] is not None, language == "en" or "»" in found[0])


def name_of(who: str) -> str:
    """The part of it that is written with a capital; nothing if it has none."""
    found = re.search(NAME, who)
    return who[found.start() :] if found else ""
