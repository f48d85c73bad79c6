"""Questions in other words, for the same answers: politeness, frames, word order, contractions, casing.

What is quoted, written in code or runs over several lines is never touched; typos are made only on request.
"""

import random
import re
from collections.abc import Iterator

from core.data.generate.lexicon import word_set

LONGEST = 300  # characters of a question that is put into other words

EN_ASKING = word_set(
    "what who whom whose where when why which how is are was were do does did can could will would should has have "
    "may must"
)
EN_TELLING = word_set(
    "write give list explain describe name tell show find create make summarise summarize translate calculate compute "
    "generate provide identify classify rewrite convert suggest compare discuss outline define edit sort add count "
    "compose design propose construct determine estimate evaluate analyse analyze arrange choose come develop"
)
FR_ASKING = re.compile(
    r"(?:quel(?:le)?s?|qui|que|qu['’]\w+|quoi|où|quand|pourquoi|comment|combien|est-ce|à qu\w+|de qu\w+|dans qu\w+|sous qu\w+|"
    r"pour qu\w+|sur qu\w+|avec qu\w+|par qu\w+|en quoi|lequel|laquelle)\b",
    re.IGNORECASE,
)
FR_TELLING = re.compile(
    r"(?:donne|écris|explique|décris|cite|liste|nomme|indique|présente|montre|trouve|crée|résume|traduis|calcule|génère|"
    r"compare|énumère|définis|propose|rédige|identifie|dis|raconte|fais|classe)(?:z|-moi|-nous)?\b",
    re.IGNORECASE,
)
FR_INVERTED = re.compile(r"\w-(?:t-)?(?:il|elle|ils|elles|on|je|tu|nous|vous|ce)\b", re.IGNORECASE)
FORMAL = re.compile(r"\b(?:vous|votre|vos|\w{3,}ez)\b", re.IGNORECASE)

EN_QUESTION_FRAMES = (
    "Could you tell me: {q}",
    "Please answer this: {q}",
    "I have a question: {q}",
    "I would like to know: {q}",
    "Quick question: {q}",
    "Hello! {Q}",
    "Hi, {q}",
    "{Q} Thank you.",
    "Do you know the answer to this? {Q}",
    "Help me with this question: {q}",
    "Here is what I want to know: {q}",
)
EN_TELLING_FRAMES = (
    "Please {t}.",
    "Can you {t}?",
    "Could you please {t}?",
    "I need you to {t}.",
    "I would like you to {t}.",
    "Would you {t}?",
    "Here is your task: {t}.",
)
FR_QUESTION_FRAMES = (
    "J’ai une question : {q}",
    "Bonjour, {q}",
    "Bonjour ! {Q}",
    "Une question : {q}",
    "J’aimerais savoir : {q}",
    "{Q} Merci.",
    "{Q} Merci d’avance.",
    "Réponds à cette question : {q}",
    "Petite question : {q}",
)
FR_TU_FRAMES = ("Peux-tu me dire ceci : {q}", "S’il te plaît, {q}", "Aide-moi avec cette question : {q}")
FR_VOUS_FRAMES = (
    "Pouvez-vous me dire ceci : {q}",
    "S’il vous plaît, {q}",
    "Aidez-moi avec cette question : {q}",
)
FR_TELLING_FRAMES = ("Bonjour, {t}.", "{T}, merci.", "{T}. Merci d’avance.")
CONTRACTIONS = (
    (r"\b(What|Who|Where|How|When|what|who|where|how|when) is\b", r"\1's"),
    (r"\b([Dd])o not\b", r"\1on't"),
    (r"\b([Dd])oes not\b", r"\1oesn't"),
    (r"\b([Cc])annot\b", r"\1an't"),
    (r"\b([Ii])s not\b", r"\1sn't"),
    (r"\bI am\b", "I'm"),
    (r"\bI would\b", "I'd"),
)
EXPANSIONS = (
    (r"\b(What|Who|Where|How|When|what|who|where|how|when)['’]s\b", r"\1 is"),
    (r"\b([Dd])on['’]t\b", r"\1o not"),
    (r"\b([Dd])oesn['’]t\b", r"\1oes not"),
    (r"\b([Cc])an['’]t\b", r"\1annot"),
    (r"\bI['’]m\b", "I am"),
)
NOUN_PHRASE = r"((?:the|a|an|your|my|its|their|our)? ?[^,;:?!]{1,80}?)"
CLAUSE = re.compile(r"\b(?:that|which|who|when|if|because|while|where|to|and|than|called|used|made|like)\b")


def variants(question: str, language: str, seed: int, typos: bool = False) -> Iterator[str]:
    """The question in other words, best first, in an order drawn by the seed; none if it is better left alone."""
    if len(question) > LONGEST or "\n" in question.strip() or "```" in question:
        return
    question = question.strip()
    turned = list(_english(question) if language == "en" else _french(question))
    random.Random(f"{seed} {question}").shuffle(turned)
    seen = {question}
    for each in [*turned, *_casing(question, language), *(_typos(question, seed) if typos else ())]:
        if each not in seen:
            seen.add(each)
            yield each


def _english(question: str) -> Iterator[str]:
    first = question.split(" ")[0].casefold().strip("'’s")
    bare = question.rstrip(" .?!")
    if question.endswith("?") and "?" not in bare:
        lowered = _lower(question)
        yield from (frame.format(q=lowered, Q=question) for frame in EN_QUESTION_FRAMES)
        yield from _english_order(bare)
    elif first in EN_TELLING and not re.search(r"[.!?]\s", question):
        yield from (frame.format(t=_lower(bare)) for frame in EN_TELLING_FRAMES)
    for pattern, replacement in (*CONTRACTIONS, *EXPANSIONS):
        changed = re.sub(pattern, replacement, question)
        if changed != question:
            yield changed


def _english_order(bare: str) -> Iterator[str]:
    """Indirect questions, where what moves is certain: "What is the licence of X" -> "... what the licence of X is"."""
    found = re.fullmatch(rf"(What|Who|Where|When) (is|are|was|were) {NOUN_PHRASE}", bare)
    if found and not CLAUSE.search(found[3]):
        asked = f"{found[1].lower()} {found[3]} {found[2]}"
    elif found := re.fullmatch(r"How (?:do|can|should) (?:I|you|we|one) (.+)", bare):
        asked = f"how to {found[1]}"
    elif found := re.fullmatch(r"(Which|What) (\w+) (is|are|was|were|has|have|applies|apply) (.+)", bare):
        asked = f"{found[1].lower()} {found[2]} {found[3]} {found[4]}"
    else:
        return
    yield f"Can you tell me {asked}?"
    yield f"I want to know {asked}."
    yield f"Could you explain {asked}?"
    yield f"Tell me {asked}, please."


def _french(question: str) -> Iterator[str]:
    bare = question.rstrip(" .?!\u00a0\u202f")
    formal = bool(FORMAL.search(question))
    if question.endswith("?") and "?" not in bare:
        lowered = _lower(question)
        frames = FR_QUESTION_FRAMES + (FR_VOUS_FRAMES if formal else FR_TU_FRAMES + FR_VOUS_FRAMES)
        yield from (_like(frame.format(q=lowered, Q=question), question) for frame in frames)
        yield from (_like(each, question) for each in _french_order(bare, formal))
    elif FR_TELLING.match(question) and not re.search(r"[.!?]\s", question):
        polite = ("S’il vous plaît, {t}.",) if formal else ("S’il te plaît, {t}.",)
        for frame in FR_TELLING_FRAMES + polite:
            yield _like(frame.format(t=_lower(bare), T=bare), question)


def _french_order(bare: str, formal: bool) -> Iterator[str]:
    """Indirect questions, and spoken ones, where what moves is certain."""
    lowered = _lower(bare)
    tell = ("Pouvez-vous me dire {}",) if formal else ("Peux-tu me dire {}", "Pouvez-vous me dire {}")
    if found := re.fullmatch(r"Qu['’]est-ce que? (.+)|Qu['’]est-ce qu['’](.+)", bare):
        thing = found[1] or found[2]
        if not re.search(r"\b(?:est|sont|a|ont|fait|peut|doit|je|tu|il|elle|on|nous|vous)\b", thing):
            yield f"C’est quoi, {thing} ?"
            yield from (f"{each.format('ce qu’est ' + thing)} ?" for each in tell)
    elif bare.startswith("Est-ce que "):
        rest = bare.removeprefix("Est-ce que ")
        rest = f"s’{rest}" if re.match(r"ils?\b", rest) else f"si {rest}"
        yield from (f"{each.format(rest)} ?" for each in tell)
        yield f"Je voudrais savoir {rest}."
    elif (
        FR_ASKING.match(bare)
        and not FR_INVERTED.search(bare)
        and not re.match(r"(?:qu['’]|que\b|quoi)", lowered)
    ):
        yield from (f"{each.format(lowered)} ?" for each in tell)
        yield f"J’aimerais savoir {lowered}."
        yield f"Je me demande {lowered}."


def _like(text: str, question: str) -> str:
    """Written with the apostrophes and spaces of the question."""
    if "'" in question and "’" not in question:
        text = text.replace("’", "'")
    space = next((each for each in ("\u202f", "\u00a0") if each in question), " ")
    if question.endswith("?") and not question[:-1].endswith((" ", "\u00a0", "\u202f")):
        return re.sub(r" (?=[?!]$)", "", text)
    return re.sub(r" (?=[:;?!](?:\s|$))", space, text)


def _casing(question: str, language: str) -> Iterator[str]:
    """As people type who are in a hurry: no capital at the beginning, no mark at the end."""
    lowered = _lower(question)
    bare = lowered.rstrip(" .?!\u00a0\u202f")
    if lowered != question and not re.search(r"[.!?]\s", question):
        yield lowered
        yield bare


def _lower(question: str) -> str:
    """Without its first capital, if that only begins the sentence."""
    first = re.split(r"[\s’'-]", question, maxsplit=1)[0]
    common = (
        first.casefold() in EN_ASKING | EN_TELLING or FR_ASKING.match(question) or FR_TELLING.match(question)
    )
    return (
        question[:1].lower() + question[1:]
        if common and first[1:].islower() | (len(first) == 1)
        else question
    )


def _typos(question: str, seed: int) -> Iterator[str]:
    """Two neighbouring letters of one ordinary word swapped."""
    chosen = random.Random(f"typo {seed} {question}")
    quoted = {at for found in re.finditer(r"[«“\"`].*?[»”\"`]", question) for at in range(*found.span())}
    words = [each for each in re.finditer(r"\b[a-zà-ÿ]{5,}\b", question) if each.start() not in quoted]
    for word in chosen.sample(words, min(2, len(words))):
        at = word.start() + chosen.randrange(1, len(word[0]) - 2)
        if question[at] != question[at + 1]:
            yield question[:at] + question[at + 1] + question[at] + question[at + 2 :]
