"""Examples that are there already -> the same ones, and their questions in other words."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.data.generate.documents import Language, Passage
from core.data.generate.languages import language_of
from core.data.generate.rules import Pair, normal
from core.data.generate.variants import variants

MOST_VARIANTS = 12  # of one question; beyond, they teach nothing new


@dataclass
class Varied:
    """`blocks`: pair's owner -> the question that it and its variants ask, which stay on one side."""

    pairs: list[Pair] = field(default_factory=list)
    blocks: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def vary(
    names: Sequence[str | Path], count: int, seed: int, language: str = "auto", typos: bool = False
) -> Varied:
    """All originals, then one variant of each in turn, until there are `count` rows or nothing more to vary.

    DataError if there is no example in the files.
    """
    from core.data import read

    report = read([str(name) for name in names])
    varied = Varied(sha256=dict(report.sha256))
    if report.rejected:
        varied.left_out["rows that cannot be used; see `atelier data check`"] = report.rejected
    originals: dict[tuple[str, str], Pair] = {}
    for example in report.examples:
        messages = example.messages
        if [message.role for message in messages] != ["user", "assistant"] or messages[1].calls:
            varied.left_out["conversations of several turns, with a system prompt or with tools"] += 1
            continue
        question, answer = messages[0].content, messages[1].content
        passage = Passage(example.source.file, example.source.line, example.source.line, question)
        owner = hashlib.sha256(normal(question).encode()).hexdigest()
        varied.blocks[owner] = owner
        if (question, answer) in originals:
            varied.left_out["repeated rows"] += 1
            continue
        originals[question, answer] = Pair(question, answer, (passage,), (owner,), "original")
    varied.pairs = list(originals.values())
    _add_variants(varied, count, seed, language, typos)
    return varied


def _add_variants(varied: Varied, count: int, seed: int, language: str, typos: bool) -> None:
    # A variant must not ask what another row asks, whose answer may be another.
    asked = {pair.question for pair in varied.pairs}
    askers: dict[str, set[str]] = defaultdict(set)
    for pair in varied.pairs:
        askers[normal(pair.question)].add(pair.answer)
    streams = []
    for pair in varied.pairs:
        if len(askers[normal(pair.question)]) > 1:
            varied.left_out["questions with several answers, which are not varied"] += 1
            continue
        spoken: Language = (
            language if language in ("en", "fr") else language_of(f"{pair.question} {pair.answer[:500]}")
        )
        streams.append((pair, variants(pair.question, spoken, seed, typos)))
    for _ in range(MOST_VARIANTS):
        left = []
        for pair, stream in streams:
            if len(varied.pairs) >= count:
                return
            fresh = next((each for each in stream if _is_free(each, pair, asked, askers)), None)
            if fresh is None:
                continue
            asked.add(fresh)
            askers[normal(fresh)].add(pair.answer)
            varied.pairs.append(Pair(fresh, pair.answer, pair.passages, pair.owners, "variant"))
            left.append((pair, stream))
        streams = left


def _is_free(question: str, pair: Pair, asked: set[str], askers: dict[str, set[str]]) -> bool:
    return question not in asked and askers[normal(question)] <= {pair.answer}
