"""Which languages a set is written in, judged by a sample of its rows."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

from core.data.doctor.leakage import question
from core.data.doctor.whole import Finding
from core.data.examples import Example
from core.data.remarks import Remark

SAMPLE = 1000  # rows, drawn evenly
LETTERS = 40  # fewer are too few to tell a language by
READ = 600  # characters; more make the judgment no surer
SURE = 0.99
RARE = 0.05  # of the rows whose language is known
ENOUGH = 20  # rows whose language is known, to speak of a set
NAMES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|<[^<>]{1,80}>|\$[^$\n]{1,200}\$|https?://\S+", re.DOTALL)
UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # where a letter says more


@dataclass(frozen=True)
class Languages:
    """The languages of a sample. An answer that is too short to tell is judged together with its question."""

    of: int  # rows of the whole set
    rows: tuple[int, ...]  # indices of the sample
    answers: tuple[str | None, ...]  # the language of each, as in NAMES
    questions: tuple[str | None, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Language -> rows, the commonest first."""
        return dict(Counter(each for each in self.answers if each).most_common())

    @property
    def shares(self) -> dict[str, float]:
        """The name of each language -> its share of the rows whose language is known, the commonest first."""
        counts = self.counts
        return {NAMES[each]: count / sum(counts.values()) for each, count in counts.items()}

    def findings(self) -> Iterator[Finding]:
        """That there are several languages, once; or the rows that are strangers in a set of one language."""
        counts = self.counts
        known = sum(counts.values())
        if known < ENOUGH:
            return
        often = [each for each, count in counts.items() if count >= RARE * known]
        if len(often) > 1:
            yield Finding(self.rows[self.answers.index(often[1])], "language-mix", partial(_mix, self, often))
            return
        for row, asked, answered in zip(self.rows, self.questions, self.answers, strict=True):
            if answered and answered not in often and asked == answered:
                yield Finding(row, "rare-language", partial(_rare, self, answered, often[0]))


def languages(examples: Sequence[Example]) -> Languages:
    """Looks at SAMPLE rows at most, in half a millisecond each."""
    count = min(SAMPLE, len(examples))
    rows = tuple(number * len(examples) // count for number in range(count))
    drawn = [examples[row] for row in rows]
    return Languages(
        len(examples),
        rows,
        tuple(map(_answered_in, drawn)),
        tuple(language(question(example)) for example in drawn),
    )


def language(text: str) -> str | None:
    """The language of a text, as in NAMES; None if it is too short, or not prose, or not surely one of them."""
    prose = NOT_PROSE.sub(" ", text[: 4 * READ])[:READ]
    letters = sum(map(str.isalpha, prose)) + 4 * len(UNSPACED.findall(prose))
    if letters < LETTERS or letters < 0.6 * len(prose):
        return None
    name, sureness = _identifier().classify(prose)
    return name if sureness >= SURE else None


def _answered_in(example: Example) -> str | None:
    answer = example.messages[-1].content
    return language(answer) or language(f"{answer}\n{question(example)}")


@cache
def _identifier():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # its model takes 0.2 seconds to load

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(NAMES))
    return identifier


def _mix(spoken: Languages, often: list[str]) -> Remark:
    known = sum(spoken.counts.values())
    shares = ", ".join(f"{spoken.counts[each] / known:.0%} {NAMES[each]}" for each in often)
    return Remark(
        "language-mix",
        f"The rows are in several languages: {shares} ({_sample(spoken)}); here the second begins.",
        "Nothing to do, if it is meant.",
    )


def _rare(spoken: Languages, here: str, main: str) -> Remark:
    return Remark(
        "rare-language",
        f"The row is in {NAMES[here]}, where nearly all are in {NAMES[main]} ({_sample(spoken)}).",
        "Delete it or translate it, unless it is meant.",
    )


def _sample(spoken: Languages) -> str:
    known = sum(spoken.counts.values())
    drawn = f"{len(spoken.rows):,} drawn from" if len(spoken.rows) < spoken.of else "all"
    return f"judged by {known:,} that are long enough, of {drawn} {spoken.of:,} rows"
