"""How books are asked about and answered for, in English and in French.

A new language is one more table here, and its ways of quoting speech in speech.py.
"""

from dataclasses import dataclass

from core.data.prepared.books import Language

NARROW = "\u202f"  # before ? and ! in French
WIDE = "\u00a0"  # before : and within « » in French


@dataclass(frozen=True, slots=True)
class Phrases:
    """How things are asked and answered in one language; of several ways one is taken."""

    go_on: tuple[str, ...]
    go_on_named: tuple[str, ...]  # with {title}
    by: str  # a title with its author
    first: tuple[str, ...]
    last: tuple[str, ...]
    after: tuple[str, ...]  # with {text}
    who_says: tuple[str, ...]
    who_thinks: tuple[str, ...]
    what_says: tuple[str, ...]  # with {who}
    named: tuple[str, ...]
    speaker: tuple[str, ...]  # an answer to who_says
    thinker: tuple[str, ...]
    yes: tuple[str, ...]  # with {text}
    no: tuple[str, ...]
    quoted: str


ENGLISH = Phrases(
    go_on=(
        "Continue this passage:",
        "Write what comes next:",
        "Go on with this story:",
        "How does this passage go on?",
        "Here is a piece of a story. Write the piece that follows it.",
    ),
    go_on_named=(
        "Continue this passage from {title}:",
        "This is from {title}. Write what comes next:",
        "How does {title} go on after this?",
    ),
    by="{title} by {author}",
    first=("What is the first sentence of this passage?", "With which sentence does this passage begin?"),
    last=("What is the last sentence of this passage?", "With which sentence does this passage end?"),
    after=(
        "Which sentence comes right after {text}",
        "In this passage, what follows the sentence {text}",
    ),
    who_says=("Who says {text}", "In this passage, who says {text}", "Who speaks these words: {text}"),
    who_thinks=("Who thinks {text}", "In this passage, who thinks {text}"),
    what_says=("What does {who} say in this passage?", "Which words of {who} are quoted in this passage?"),
    named=("Is {who} named in this passage?", "Does this passage mention {who}?"),
    speaker=("{Who}.", "{Who} says it.", "It is {who} who says this."),
    thinker=("{Who}.", "{Who} thinks it.", "It is {who} who thinks this."),
    yes=("Yes: {text}", "Yes, here: {text}"),
    no=("No, {who} is not named in it.", "No, this passage does not mention {who}."),
    quoted="“{}”",
)
FRENCH = Phrases(
    go_on=(
        f"Continue ce passage{WIDE}:",
        f"Écris la suite{WIDE}:",
        f"Poursuis cette histoire{WIDE}:",
        f"Comment ce passage continue-t-il{NARROW}?",
        "Voici un morceau d’une histoire. Écris le morceau qui le suit.",
    ),
    go_on_named=(
        f"Continue ce passage de {{title}}{WIDE}:",
        f"Ceci vient de {{title}}. Écris la suite{WIDE}:",
        f"Comment {{title}} continue-t-il après ces lignes{NARROW}?",
    ),
    by="{title} ({author})",
    first=(
        f"Quelle est la première phrase de ce passage{NARROW}?",
        f"Par quelle phrase ce passage commence-t-il{NARROW}?",
    ),
    last=(
        f"Quelle est la dernière phrase de ce passage{NARROW}?",
        f"Par quelle phrase ce passage finit-il{NARROW}?",
    ),
    after=(
        f"Quelle phrase vient juste après {{text}}{NARROW}?",
        f"Dans ce passage, qu’est-ce qui suit la phrase {{text}}{NARROW}?",
    ),
    who_says=(
        f"Qui dit {{text}}{NARROW}?",
        f"Dans ce passage, qui dit {{text}}{NARROW}?",
        f"Qui prononce ces paroles{WIDE}: {{text}}{NARROW}?",
    ),
    who_thinks=(f"Qui pense {{text}}{NARROW}?", f"Dans ce passage, qui pense {{text}}{NARROW}?"),
    what_says=(
        f"Que dit {{who}} dans ce passage{NARROW}?",
        f"Quelles sont, dans ce passage, les paroles que prononce {{who}}{NARROW}?",
    ),
    named=(
        f"Est-ce que ce passage nomme {{who}}{NARROW}?",
        f"Ce passage mentionne-t-il {{who}}{NARROW}?",
    ),
    speaker=("{Who}.", "C’est {who}.", "C’est {who} qui le dit."),
    thinker=("{Who}.", "C’est {who}.", "C’est {who} qui le pense."),
    yes=(f"Oui{WIDE}: {{text}}", f"Oui, ici{WIDE}: {{text}}"),
    no=("Non, ce passage ne nomme pas {who}.", "Non, {who} n’y figure pas."),
    quoted=f"«{WIDE}{{}}{WIDE}»",
)
PHRASES: dict[Language, Phrases] = {"en": ENGLISH, "fr": FRENCH}
