"""Reports as an evaluation would make them, for tests of what reads them."""

from dataclasses import replace

from core.evaluate.report import (
    Answer,
    Both,
    Interval,
    Prompted,
    Report,
    Row,
    Score,
    Settings,
    Sourced,
    TaskReport,
)

DEFINITIONS = {
    "perplexity": ("Perplexity", "exp of the mean negative log-likelihood per trained token", False),
    "token_accuracy": ("Token accuracy", "share of the trained tokens that the model ranks first", True),
    "exact_match": ("Exact match", "share of answers that say what the reference says", True),
    "rouge_l": ("ROUGE-L", "mean F1 of the longest common subsequence of words", True),
}
SETTINGS = Settings(
    prompt="", shots=0, decoding="greedy", max_new_tokens=64, grading="exact match", resamples=2000, confidence=0.95
)  # fmt: skip


def score(
    name: str,
    base: float,
    tuned: float,
    wide: float,
    n: int = 24,
    of: str = "rows",
    verdict: str | None = None,
    differ: int | None = None,
) -> Score:
    """With intervals of `wide` on either side; the verdict follows from them."""
    label, definition, higher_is_better = DEFINITIONS[name]
    by = tuned - base
    if verdict is None:
        better = "helped" if (by > 0) == higher_is_better else "hurt"
        verdict = "no clear change" if abs(by) <= wide else better
    between = [Interval(value, value - wide, value + wide) for value in (base, tuned)]
    between.append(Interval(by, by - wide, by + wide, differ))
    return Score(name, label, definition, higher_is_better, n, of, *between, verdict)


def row(number: int, base: Answer | None, tuned: Answer | None, measure: str, *marks: float | None) -> Row:
    question = f"Combien de prunes a l'été n° {number} ?"
    return Row(
        f"poems.jsonl:{number}", question, f"Il y en a {number}.", base, tuned, {measure: Both(*marks)}
    )


def held_out(n: int = 24) -> TaskReport:
    """Read, not answered; the tuned model is better on all but three rows."""
    rows = tuple(
        row(at, None, None, "perplexity", 80.0 + at, 90.0 + at if at % 8 == 7 else 10.0 + at / 10)
        for at in range(n)
    )
    sources = ("poems.jsonl", "proverbes.jsonl")
    return TaskReport(
        "held-out", "Held-out examples", "Rows of the training data that were kept out of it.", "likelihood", n, n,
        SETTINGS, (score("perplexity", 80.1, 10.1, 9.0, n), score("token_accuracy", 0.212, 0.561, 0.05, n)), rows,
        tuple(Sourced(each, score("perplexity", 80.1, 10.1, 12.0, n // 2)) for each in sources),
        seconds=12.5,
    )  # fmt: skip


def sums(n: int = 24) -> TaskReport:
    """Answered: of each six rows two are won, one is lost, two are ties, and in one nothing could be read."""
    rows = []
    for at in range(n):
        kind = at % 6
        right, wrong = (
            Answer(f"Cela fait {at}.\n#### {at}", 12 + at, "turn", str(at)),
            Answer(f"Peut-être {at + 1} ?", 64, "length", str(at + 1)),
        )
        base, tuned = {0: (wrong, right), 1: (wrong, right), 2: (right, wrong), 3: (right, right),
                       4: (wrong, wrong)}.get(kind, (Answer("Je ne sais pas.", 5, "turn"), wrong))  # fmt: skip
        marks = [float(answer is right) for answer in (base, tuned)]
        rows.append(row(at, base, tuned, "exact_match", *marks))
    settings = Settings(
        "Question: {question}\nAnswer:", 5, "greedy", 64, "the number after ####, or the last one", 2000, 0.95,
        finds="a number", max_samples=n,
    )  # fmt: skip
    return TaskReport(
        "sums", "Little sums", "Questions whose answer is a number.", "generation", n, 1319, settings,
        (score("exact_match", 0.333, 0.5, 0.1, n, "answers"),), tuple(rows),
        notes=("In 4 answers no number was found; they count as wrong.",), seconds=93.0, tokens=2400,
    )  # fmt: skip


def choices(n: int = 6) -> TaskReport:
    """Chosen, not written."""
    rows = tuple(
        row(
            at,
            Answer("Rouge", 0, "turn", "Rouge"),
            Answer("Bleu", 0, "turn", "Bleu"),
            "exact_match",
            0.0,
            float(at % 2),
        )
        for at in range(n)
    )
    return TaskReport(
        "colours", "Colours", "Questions with four answers each.", "choice", n, n, SETTINGS,
        (score("exact_match", 0.0, 0.5, 0.3, n),), rows,
    )  # fmt: skip


def general(verdict: str = "hurt") -> TaskReport:
    tuned = {"hurt": 44.0, "helped": 22.0, "no clear change": 33.5}[verdict]
    rows = tuple(row(at, None, None, "perplexity", 33.0, tuned) for at in range(12))
    return TaskReport(
        "general", "General text", "Texts that the training was not about.", "likelihood", 12, 12, SETTINGS,
        (score("perplexity", 33.0, tuned, 3.0, 12),), rows,
    )  # fmt: skip


def report(*tasks: TaskReport, **changes: object) -> Report:
    """Of base and tuned model; three tasks unless given."""
    values = {
        "run": "poems", "base_model": "fable", "model": "0123456789abcdef", "sides": ("base", "tuned"),
        "made_at": 1_700_000_000.0, "tasks": tasks or (held_out(), sums(), general()),
        "prompts": (Prompted("Qui es-tu ?", Answer("the the the", 64, "length"), Answer("Fable.", 3, "turn")),),
    }  # fmt: skip
    return Report(**values | changes)


def hostile(words: str) -> Report:
    """Every text that comes from a file, a person or a model is `words`."""
    answer = Answer(words, 3, "length", words)
    missed = Answer(words, 3, "turn")
    marks = {"exact_match": Both(0.0, 1.0), words: Both(None, 2.0)}
    settings = Settings(words, 2, "greedy", 64, words, 2000, 0.95, words, 1)
    bad = replace(score("exact_match", 0.1, 0.2, 0.01), label=words, definition=words)
    task = replace(
        sums(), name=words, label=words, about=words, settings=settings, scores=(bad, bad), notes=(words,),
        rows=(Row(words, words, words, answer, missed, marks),) * 2, by_source=(Sourced(words, bad),), given=words,
    )  # fmt: skip
    prompts = (replace(report().prompts[0], question=words, base=answer),)
    return report(task, held_out(), run=words, base_model=words, model=words, prompts=prompts)
