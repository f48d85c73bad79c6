"""What a comparison with retrieval found, as a value and as reports/retrieval.json, and what follows; without torch.

base                   the base model, asked as it is
base with passages     the same, handed passages that share words with the question
tuned                  the run's model, asked as it is
tuned with passages    both
"""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from core.errors import RunError
from core.evaluate.report import Interval, whole
from core.runs.store import Run

FILE = "retrieval.json"  # in the run's reports/
Way = Literal["base", "base with passages", "tuned", "tuned with passages"]
Outcome = Literal["fine-tune", "retrieve", "both", "no clear difference"]
WAYS: tuple[Way, ...] = ("base", "base with passages", "tuned", "tuned with passages")
PLAIN: tuple[Way, ...] = ("base", "tuned")
WITH: dict[Way, Way] = {"base": "base with passages", "tuned": "tuned with passages"}
# What a decision turns on: the first, less the second.
PAIRS: tuple[tuple[Way, Way], ...] = (
    ("tuned", "base"),
    ("base with passages", "base"),
    ("tuned with passages", "base"),
    ("tuned", "base with passages"),
    ("tuned with passages", "tuned"),
    ("tuned with passages", "base with passages"),
)


@dataclass(frozen=True)
class Request:
    """What is asked for; RunError if it cannot be."""

    documents: tuple[str, ...]
    questions: str | None = None  # a file of examples; the run's held-out examples unless given
    most_questions: int = 64  # evenly spread over those there are; four answers to each
    passages: int = 4  # most for a question
    passage_tokens: int = 512  # most of all of a question's passages together
    timed: int = 8  # questions that are asked alone, one by one, for how long an answer takes

    def __post_init__(self) -> None:
        if not self.documents:
            raise RunError(
                "Name the documents to find passages in: files or folders of Markdown, text, CSV or JSON lines."
            )
        for name, least, most in (
            ("most_questions", 1, 10_000), ("passages", 1, 50), ("passage_tokens", 16, 100_000), ("timed", 1, 100)
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise RunError(f"{name} must be between {least:,} and {most:,}, not {getattr(self, name):,}.")


@dataclass(frozen=True)
class Shown:
    """A passage that was handed to a model."""

    file: str
    first: int
    last: int
    text: str  # with the headings above it


@dataclass(frozen=True)
class Said:
    text: str
    read: int  # tokens of the question as the model got it
    written: int
    ended: Literal["turn", "length"]


@dataclass(frozen=True)
class Row:
    """One question, what was found for it, and what each way made of it."""

    source: str
    question: str
    reference: str
    passages: tuple[int, ...]  # numbers of those that were shown, the best first
    holds: bool | None  # whether one of them holds the reference word for word; None: no passage at all does
    said: dict[Way, Said]
    marks: dict[str, dict[Way, float]]  # measure -> way -> mark


@dataclass(frozen=True)
class Measured:
    name: str
    label: str
    definition: str
    ways: dict[Way, Interval]
    differences: dict[str, Interval]  # "tuned − base", ...; see PAIRS


@dataclass(frozen=True)
class Price:
    """What an answer costs, this way: means over all questions; seconds over those that were asked one by one."""

    read: float
    written: float
    seconds: float  # median
    seconds_90: float  # nine of ten take no longer


@dataclass(frozen=True)
class Decision:
    outcome: Outcome
    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    questions: str  # where they are from
    passages: int
    passage_tokens: int
    max_new_tokens: int
    policy: str  # how words are compared
    prompts: dict[str, str]  # language -> how passages are handed over
    resamples: int
    confidence: float
    timed: int
    device: str


@dataclass(frozen=True)
class Comparison:
    """The first measure is the one that decides."""

    run: str
    base_model: str
    made_at: float
    settings: Settings
    documents: dict[str, str]  # file -> hash of its bytes
    indexed: int  # passages that could be found
    n: int  # questions asked
    available: int
    findable: int  # questions whose reference stands word for word in some passage
    hits: int  # of these, for which such a passage was shown
    measures: tuple[Measured, ...]
    prices: dict[Way, Price]
    training_seconds: float  # what tuning took; retrieval needs none
    decision: Decision
    rows: tuple[Row, ...]
    shown: dict[int, Shown]
    notes: tuple[str, ...] = ()  # what was left out, did not fit, or was not found
    seconds: float = 0.0  # that the comparison took


def difference(better: Way, than: Way) -> str:
    """What the difference of two ways is called: `tuned − base`."""
    return f"{better} − {than}"


def write(run: Run, found: Comparison) -> None:
    """To the run's reports/, as a whole or not at all."""
    whole(run.reports / FILE, json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False))


def read(run: Run) -> Comparison | None:
    """The run's latest comparison; None if there is none. RunError if the file is not one of ours."""
    path = run.reports / FILE
    try:
        return TypeAdapter(Comparison).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise RunError(
            f"{path} is no comparison with retrieval: delete it and compare the run again."
        ) from None
