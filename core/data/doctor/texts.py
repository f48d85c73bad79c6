"""What is worth saying about the texts of one conversation: damaged characters, marks of templates, gaps, refusals.

Every row of a data set passes here, so a cheap test stands before each costly look. What is found is said with
its place; none of it makes a row unusable, except texts that cannot be written as UTF-8.
"""

import re
from collections.abc import Iterator, Sequence

from core.data.examples import Message
from core.data.remarks import Remark, RowError, excerpt, quoted, visible

LONG = 100_000  # characters; about 25,000 tokens. What follows them is searched for damaged characters only
CHUNK = 1_000_000  # characters looked at together, so that long texts are not copied whole
OPENING = 250  # characters in which an answer declines, if it does
CONTROLS = bytes({*range(32), 127} - set(b"\t\n\r"))

CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
LOST = re.compile("\ufffd")  # what decoders write for bytes that mean nothing
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Patterns begin with a plain character where they can: then `re` skips to it, ten times as fast as it matches.
MARKERS = {
    "<": re.compile(r"<(?:\|[\w-]{1,40}\|>|｜[\w▁-]{1,40}｜>|</?SYS>>|/?s>|(?:start|end)_of_turn>)"),
    "[": re.compile(r"\[/?INST\]"),
    "###": re.compile(r"^### ?(?:Instruction|Response|Human|Assistant) ?:", re.MULTILINE),
}
NEXT_QUESTION = re.compile(r"\n[ \t]*(?:#{2,3} ?)?(?:Human|User|Instruction) ?: ?\S.{0,40}")
DIALOGUE = re.compile(r"[\s\"“*\[]*\w[\w .]{0,30}:")  # an answer that is a dialogue from its first line on

# {{name}} is a gap wherever it stands; the others in answers only, and not where the question shows them, too.
DOUBLE_BRACES = re.compile(r"\{\{(?<![\\{\w$]\{\{) ?[^\W\d][\w.-]{1,30} ?\}\}(?!\})")
BRACKETS = re.compile(r"\[(?<![A-Za-z0-9_\\\])]\[)[^\W\d][\w ’'/-]{0,40}\](?![\[(:=])")
BRACES = re.compile(r"\{(?<![\\$\w{}^_(\[\"']\{)[A-Za-z_][\w ]{1,30}\}(?!\})")
ANGLES = re.compile(r"<[A-Za-z][\w ’'-]{2,40}>")
FILLERS = {
    "orem ipsum": re.compile(r"\b[Ll]orem ipsum(?: dolor)?"),
    "TODO": re.compile(r"\bTODO\b(?=\s*(?::|\)|\]|$))"),
    "XXX": re.compile(r"(?<!Bowl )\bX{3,}\b"),  # Super Bowl XXX is the thirtieth
}
# What tells [Company Name] from [i + 1], <insert name> from <table>, {customer name} from {x}.
ASKING = r"your|insert|enter|names?|votre|nom|insérer"
GAP_IN_ANGLES = re.compile(rf"(?i:\b(?:{ASKING})\b)|<[A-Z]{{2,12}}[ _][A-Z_ ]+>|<no(?:in|out)put>")
GAP = re.compile(
    rf"\b(?:{ASKING}|my|his|her|their|fill in|company|employer|recipient|customer|client|dates?|times?|address|e-?mail"
    r"|phone|title|product|position|number|city|amount|link|url|vos|mon|prénom|indiquer|adresse|entreprise"
    r"|destinataire|téléphone)\b|您|姓名|名称|公司|日期",
    re.IGNORECASE,
)
FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
# A program fills its braces itself, as f"{name}" does.
PROGRAM = re.compile(
    r"""\bf["']|\.format\(|^\s*(?:def|class|import|function|const|let|var|return)\b|;\s*$""", re.M
)

# Without re.IGNORECASE, which takes three times as long.
MACHINE = re.compile(
    r"\b[Aa]s an (?:AI|artificial intelligence)(?: [Ll]anguage)?(?: [Mm]odel| assistant| chatbot)?(?:,| I\b)"
    r"|\b(?:[Aa]s|I['’]m|I am) (?:just |only |merely )?an? (?:AI |artificial intelligence )?"
    r"(?:[Ll]arge )?[Ll]anguage [Mm]odel\b"
    r"|\b[Ee]n tant (?:qu['’]|que )(?:une? )?(?:IA\b|intelligence artificielle|modèle (?:de langage|linguistique))"
    r"|作为一个?(?:AI|人工智能|语言模型)"
)
MACHINE_ASKED_FOR = re.compile(r"\bAI\b|\bIA\b|ntelligence|语言模型")
CANNOT = (
    r"cannot|can['’]t|can not|am not able|am unable|['’]m not able|['’]m unable|do not have|don['’]t have"
)
SERVE = r"(?:\w+ )?(?:provide|assist|help you|help with|answer|fulfil|generate|comply|process)\b"
DECLINES = re.compile(
    rf"\b(?:[Ss]orry|apologi[sz]e),? (?:but )?(?:as an AI\b|I ?(?:{CANNOT}) (?!(?:to )?come\b))"
    rf"|\bI (?:cannot|can['’]t|can not|am unable to|am not able to) {SERVE}|\bI['’]m (?:unable|not able) to {SERVE}"
    r"|\b(?:[Dd]ésolée?|m['’]excuse|[Ee]xcusez-moi),? (?:mais )?je ne (?:peux|suis|dispose)"
)

TAGS = re.compile(
    r"</?(?i:a|b|br|center|div|em|font|h[1-6]|i|img|li|ol|p|script|span|strong|style|table|td|tr|u|ul)"
    r"(?:\s[^<>]{0,200})?/?>"
)
ENTITIES = re.compile(r"&(?:nbsp|amp|lt|gt|quot|#\d{2,5});")
ABOUT_MARKUP = re.compile(
    r"html|\btags?\b|\bweb|page\b|\bsite|code|css|xml|markup|markdown|script|<\w|&\w+;", re.I
)
# UTF-8 read as Windows-1252, Windows-1250 or Mac Roman: a letter where a first byte was, then a sign or letter
# where a further one was. Words hold that, too ("créé…"), so it only says where to look.
SUSPECT = re.compile("[\xc2-\xf4√ĂĹ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|Ã")


def about(messages: Sequence[Message]) -> list[Remark]:
    """What is to be said of the texts of a conversation; RowError if they cannot be written as UTF-8."""
    said = [message.content for message in messages]
    said += [part for each in messages for call in each.calls for part in (call.name, call.arguments)]
    characters = sum(map(len, said))
    if characters > LONG:
        return _about_long(messages, said, characters)
    joined = "\n".join(said)
    raw = _utf8(joined)
    # Deleting and comparing takes a fifth of the time of a regular expression.
    controls = len(raw.translate(None, CONTROLS)) < len(raw)
    remarks = [_control_character(messages, said)] if controls else []
    return _about(messages, said, joined, len(raw) == len(joined), remarks)


def _about_long(messages: Sequence[Message], said: list[str], characters: int) -> list[Remark]:
    """Looks at all of each text for damage, and at its first LONG characters for everything else."""
    controls, ascii = False, True
    for text in said:
        for begin in range(0, len(text), CHUNK):
            raw = _utf8(text[begin : begin + CHUNK])
            controls = controls or len(raw.translate(None, CONTROLS)) < len(raw)
            ascii = ascii and raw.isascii()
    remarks = [_control_character(messages, said)] if controls else []
    long = Remark(
        "long-row",
        f"The row holds {characters:,} characters, more than most models read at once.",
        "Split it; otherwise train.max_length and train.overlong decide what becomes of it.",
    )
    heads = [text[:LONG] for text in said]
    return _about(messages, heads, "\n".join(heads), ascii, [*remarks, long])


def _about(
    messages: Sequence[Message], said: list[str], joined: str, ascii: bool, remarks: list[Remark]
) -> list[Remark]:
    """Adds to the remarks. `said` is the text of each message, and after them what calls of tools hold; `joined`
    is all that, for the tests of what most rows do not hold.
    """
    texts = said[: len(messages)]
    if not ascii:
        remarks += _odd_characters(messages, said, joined)
    angle, square = "<" in joined, "[" in joined
    if angle or square or "###" in joined:
        remarks += _markers(joined)
    if angle or square or "{" in joined or "XXX" in joined or "TODO" in joined or "orem ipsum" in joined:
        remarks += _gaps(messages, texts)
    if angle or "&" in joined:
        remarks += _markup(messages, texts)
    if NEXT_QUESTION.search(joined):
        remarks += _run_on(messages, texts)
    openings = texts[1][:OPENING] if len(texts) == 2 else "\n".join([text[:OPENING] for text in texts])
    if (
        "orry" in openings
        or "pologi" in openings
        or "I can" in openings
        or "able to " in openings
        or (not ascii and "je ne " in openings)
    ):
        remarks += _refusal(messages, texts)
    if (
        "s an AI" in joined
        or "anguage model" in joined
        or not ascii
        and ("n tant qu" in joined or "作为" in joined)
    ):
        remarks += _boilerplate(messages, texts)
    if len(texts) > 2 or texts[-1] == texts[0]:
        remarks += _echo(messages, texts)
    return remarks


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RowError(
            "lone-surrogate",
            f"A text holds half a character ({visible(text[error.start])}), as when an emoji was cut in two.",
            "Write the whole character, or remove the half.",
        ) from None


def _control_character(messages: Sequence[Message], said: list[str]) -> Remark:
    at, found = _first(CONTROL, said)
    return Remark(
        "control-character",
        f"{_place(messages, at)} holds a control character, {visible(found.group())}, near "
        f"“{_near(found)}”; it is kept.",
        r"Remove it; where a LaTeX command such as \frac is meant, write its backslash twice.",
    )


def _odd_characters(messages: Sequence[Message], said: list[str], joined: str) -> Iterator[Remark]:
    if BIDI.search(joined):
        at, found = _first(BIDI, said)
        yield Remark(
            "bidi-override",
            f"{_place(messages, at)} holds {visible(found.group())}, which is not seen and turns the direction of "
            f"writing, near “{_near(found)}”; it is kept.",
            "Remove it, unless the text mixes right-to-left and left-to-right writing.",
        )
    if LOST.search(joined):
        at, found = _first(LOST, said)
        yield Remark(
            "lost-character",
            f"{_place(messages, at)} holds U+FFFD where a character was lost, near “{_near(found)}”; it is kept.",
            "Write the character, or export the data again from where it is whole.",
        )
    if SUSPECT.search(joined):
        for at, text in enumerate(said):
            if pair := mojibake(text):
                yield Remark(
                    "mojibake",
                    f"{_place(messages, at)} was once read in a wrong encoding: “{pair[0]}” should be “{pair[1]}”.",
                    "Export the data again as UTF-8, or take the cleaned copy, in which it is mended.",
                )
                return


def mojibake(text: str) -> tuple[str, str] | None:
    """The first word that was decoded wrongly, and what was meant; None if the text is sound.

    "in l’Ã©tÃ©" -> ("l’Ã©tÃ©", "l’été")
    """
    from ftfy import fix_encoding  # takes longer to import than a small data set to read
    from ftfy.badness import BADNESS_RE

    for found in BADNESS_RE.finditer(text):
        word = _word_around(text, *found.span())
        mended = fix_encoding(word)
        if mended != word:
            return excerpt(word, 40), excerpt(mended, 40)
    return None


def _word_around(text: str, begin: int, end: int) -> str:
    """The word or words that hold a place, at most 30 characters more on each side."""
    before = text[max(0, begin - 30) : begin].split(" ")[-1]
    return before + text[begin:end] + text[end : end + 30].split(" ")[0]


def _markers(joined: str) -> Iterator[Remark]:
    found = [marker for sign, each in MARKERS.items() if sign in joined for marker in each.findall(joined)]
    if found:
        yield Remark(
            "template-marker",
            f"The row holds {quoted(dict.fromkeys(found))}, as chat templates mark turns; it is kept, as text.",
            "Remove it, unless the text is about chat templates.",
        )


def _gaps(messages: Sequence[Message], texts: list[str]) -> Iterator[Remark]:
    """Places that a template left to be filled in: {{name}}, [Your Name], TODO."""
    for at, text in enumerate(texts):
        prose = FENCED.sub("", text) if "`" in text else text
        gaps = DOUBLE_BRACES.findall(prose) if "{{" in prose else []
        if messages[at].role == "assistant":
            question = texts[at - 1] if at else ""
            gaps += [gap for gap in _gaps_of_answer(prose) if gap not in question]
        if gaps:
            yield Remark(
                "placeholder",
                f"{_place(messages, at)} holds {quoted(dict.fromkeys(gaps))}, as if a gap had not been filled; "
                "it is kept.",
                "Fill it in, or delete the row, unless a form is meant.",
            )
            return


def _gaps_of_answer(prose: str) -> Iterator[str]:
    if "[" in prose:
        yield from (gap for gap in BRACKETS.findall(prose) if GAP.search(gap.replace("_", " ")))
    if "<" in prose:
        yield from filter(GAP_IN_ANGLES.search, ANGLES.findall(prose))
    if "{" in prose:
        braces = [gap for gap in BRACES.findall(prose) if GAP.search(gap.replace("_", " "))]
        yield from braces if braces and not PROGRAM.search(prose) else ()
    for sign, pattern in FILLERS.items():
        if sign in prose:
            yield from pattern.findall(prose)


def _markup(messages: Sequence[Message], texts: list[str]) -> Iterator[Remark]:
    """Tags and entities in an answer where nobody spoke of HTML."""
    for at, text in _answers(messages, texts):
        found = TAGS.search(text) or ENTITIES.search(text)
        if found and "```" not in text and not any(ABOUT_MARKUP.search(each) for each in texts[:at]):
            yield Remark(
                "html",
                f"{_place(messages, at)} holds {quoted([found.group()])}, a piece of HTML; it is kept, as text.",
                "Remove it, unless the model should write HTML.",
            )
            return


def _run_on(messages: Sequence[Message], texts: list[str]) -> Iterator[Remark]:
    """An answer that goes on with the next question, as from a model that did not stop."""
    for at, text in _answers(messages, texts):
        found = NEXT_QUESTION.search(text)
        if found and not DIALOGUE.match(text):
            yield Remark(
                "run-on-answer",
                f"{_place(messages, at)} goes on with another question: “{excerpt(found.group().strip(), 40)}”.",
                "Cut the answer there, unless it is a dialogue.",
            )
            return


def _refusal(messages: Sequence[Message], texts: list[str]) -> Iterator[Remark]:
    for at, text in _answers(messages, texts):
        if found := DECLINES.search(text, 0, OPENING):
            yield Remark(
                "refusal",
                f"{_place(messages, at)} declines: “{excerpt(text[found.start() :], 50)}”.",
                "Delete the row, unless the model should learn to decline this.",
            )
            return


def _boilerplate(messages: Sequence[Message], texts: list[str]) -> Iterator[Remark]:
    for at, text in _answers(messages, texts):
        found = MACHINE.search(text)
        if found and not any(MACHINE_ASKED_FOR.search(each) for each in texts[:at]):
            yield Remark(
                "boilerplate",
                f"{_place(messages, at)} speaks of itself as another model does: "
                f"“{excerpt(text[found.start() :], 50)}”.",
                "Rewrite it, unless the model should speak like that.",
            )
            return


def _echo(messages: Sequence[Message], texts: list[str]) -> Iterator[Remark]:
    for at, text in _answers(messages, texts):
        if at and text and text == texts[at - 1]:
            yield Remark(
                "answer-is-question",
                f"{_place(messages, at)} is the same as what it answers: “{excerpt(text, 40)}”.",
                "Write the answer, or delete the row.",
            )
            return


def _answers(messages: Sequence[Message], texts: list[str]) -> Iterator[tuple[int, str]]:
    return ((at, text) for at, text in enumerate(texts) if messages[at].role == "assistant")


def _place(messages: Sequence[Message], at: int) -> str:
    """What to call a message at the beginning of a sentence; what follows the messages is in calls of tools."""
    if at >= len(messages):
        return "The call of a tool"
    if len(messages) > 2:
        return f"Message {at + 1} of {len(messages)}"
    return "The answer" if messages[at].role == "assistant" else "The question"


def _first(pattern: re.Pattern[str], texts: list[str]) -> tuple[int, re.Match[str]]:
    """The first place of what is known to be there, and the number of its text."""
    return next((at, found) for at, text in enumerate(texts) if (found := pattern.search(text)))


def _near(found: re.Match[str]) -> str:
    """What stands around it, on one line."""
    return excerpt(found.string[max(0, found.start() - 20) : found.end() + 20].strip(), 50)
