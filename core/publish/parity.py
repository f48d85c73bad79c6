"""The gate: what is to leave the house is opened again and held against the model that was trained.

The same conversations, written and tokenized by the training's own template, by the merged folder as its users open
it, and by what stands in a GGUF file, must give the same ids; the logits may differ by no more than the format's
bound; greedy answers are shown side by side. What was found is in reports/parity.json, which also knows of which
weights it speaks. Importing this loads no torch.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data.examples import Message
from core.errors import PublishError, TextError
from core.hashing import sha256_of
from core.publish.publishable import publishable
from core.runs.store import Run

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from core.text.load import Text

FILE = "parity.json"  # in the run's reports/
MERGED = "merged"  # the name of the merged folder among the formats
# How far the merged folder may be from base and adapter together, as `noise` measures it: its weights are rounded to
# the base's own precision, 8 bits of each number where that is bfloat16. Three times the most that was seen.
MERGED_BOUND = {"float32": 1e-4, "float16": 0.005, "bfloat16": 0.03}
NEW_TOKENS = 32
SHOWN = 60  # letters of a text that are shown where two differ

PROMPTS = (
    "Who are you?",
    "Tell me a story about a fox and a crow.",
    "Raconte-moi une histoire, s'il te plaît.",
    "What is 17 + 25?",
    "Write a function that reverses a list.",
)
CONVERSATIONS: dict[str, tuple[Message, ...]] = {
    "English": (Message("user", "Who kept the sheep on the hill, and why didn't they run?"),),
    "French": (Message("user", "Où est passée la clé ? L'été dernier, elle était sous l'œuf « doré »."),),
    "accents": (
        Message("user", "Žluťoučký kůň, naïve façade, Straße, İstanbul, Ελλάδα, Привет, 東京, 한국어"),
    ),
    "emoji": (Message("user", "👍🏽 👩‍👩‍👧 🇫🇷 ok?! ❤"),),
    "code": (
        Message(
            "user", "def f(x):\n    if x > 10:\n        return x[::-1]  # 1234567\n\n\treturn {'a': 0x1F}"
        ),
    ),
    "several turns": (
        Message("system", "Be brief."),
        Message("user", "Who is there?"),
        Message("assistant", "The White Rabbit."),
        Message("user", "And who else?"),
        Message("assistant", "  Nobody, I'm afraid...\nOr the Cat."),
        Message("user", "THE cat? 3,14 or 2026-11-21"),
    ),
    "empty system": (Message("system", ""), Message("user", "Hello")),
}
PROBES = {
    "an ellipsis": "wait…",
    "a ligature": "a ﬁne day",
    "a raised digit": "x²",
    "a full-width letter": "Ａ",
    "a no-break space": "a\u00a0b",
    "an accent that follows its letter": "cafe\u0301",
    "several spaces": "a  b",
    "a tab": "a\tb",
    "a control character": "a\u0007b",
}


@dataclass(frozen=True)
class Answer:
    """What the model and its copy say to one prompt, greedily."""

    prompt: str
    wanted: str
    got: str


@dataclass(frozen=True)
class Checked:
    """One copy of the model, and how it was found to be."""

    format: str  # merged, or a GGUF format
    file: str  # relative to the run
    sha256: str  # of the file; of all that a folder would publish
    passed: bool
    conversations: int  # whose ids were compared
    noise: float | None  # of the logits; None where it did not come to that
    bound: float
    answers: tuple[Answer, ...] = ()
    limits: tuple[str, ...] = ()  # texts that are read otherwise there, and what else is known to differ
    skipped: tuple[str, ...] = ()  # conversations that the template cannot write
    mismatch: str = ""  # why it did not pass, with both sides
    seconds: float = 0.0

    @property
    def same_answers(self) -> int:
        return sum(answer.wanted == answer.got for answer in self.answers)


@dataclass(frozen=True)
class Parity:
    """What is known of the copies of one state of the weights."""

    model: str  # digest of final/
    made_at: float
    formats: tuple[Checked, ...]

    def of(self, name: str) -> Checked | None:
        return next((each for each in self.formats if each.format == name), None)

    def refusal(self, run: Run, name: str) -> str | None:
        """Why a copy must not leave the house, in a sentence; None if it may."""
        checked = self.of(name)
        if checked is None:
            return f"The {name} copy was not compared with the model: export it again."
        if not checked.passed:
            return checked.mismatch
        if self.model != digest(run.final):
            return f"The {name} copy was compared with other weights than final/ has now: export it again."
        there = run.folder / checked.file
        if not there.exists() or digest(there) != checked.sha256:
            exactly = ", file for file" if there.is_dir() else ""
            return f"{checked.file} is not what was compared with the model{exactly}: export it again."
        return None


def read(run: Run) -> Parity | None:
    """What was found; None if nothing was compared, or the report is of another version or damaged."""
    try:
        values = json.loads((run.reports / FILE).read_text("utf-8"))
        formats = tuple(
            Checked(
                **each | {"answers": tuple(Answer(**answer) for answer in each["answers"])} | _tuples(each)
            )
            for each in values["formats"]
        )
        return Parity(values["model"], values["made_at"], formats)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(values[name]) for name in ("limits", "skipped")}


def record(run: Run, checked: Checked) -> Parity:
    """Add what was found of a copy; what was known of other weights is forgotten."""
    from core.train.disk import write_json

    known, model = read(run), digest(run.final)
    others = known.formats if known and known.model == model else ()
    parity = Parity(
        model, time.time(), (*(each for each in others if each.format != checked.format), checked)
    )
    run.reports.mkdir(exist_ok=True)
    write_json(run.reports / FILE, dataclasses.asdict(parity))
    return parity


def digest(path: Path) -> str:
    """SHA-256 of a file, or of all that may leave a folder, by name and content; the same wherever it lies."""
    if path.is_file():
        return sha256_of(path)
    parts = [f"{each.relative_to(path).as_posix()} {digest(each)}" for each in publishable(path)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


Writes = Callable[[Sequence[Message]], list[int]]


def compare_ids(text: "Text", reads: Writes, reader: str) -> tuple[int, tuple[str, ...]]:
    """How many conversations gave the same ids, and which ones the template cannot write.

    PublishError, with both sides shown, at the first that did not.
    """
    same, skipped = 0, []
    for name, messages in CONVERSATIONS.items():
        try:
            wanted = text.template.prompt_ids(messages, text.tokenizer)
        except TextError:
            skipped.append(name)
            continue
        if (got := reads(messages)) != wanted:
            raise PublishError(_difference(text, name, wanted, got, reader))
        same += 1
    if not same:
        raise PublishError(
            "The template could write none of the conversations that copies are compared with."
        )
    return same, tuple(skipped)


def unlike(text: "Text", reads: Writes) -> tuple[str, ...]:
    """What is read otherwise in users' words, in one sentence: Unicode rules of the tokenizer that a copy lacks."""
    found = []
    for name, probe in PROBES.items():
        messages = (Message("user", probe),)
        if reads(messages) != text.template.prompt_ids(messages, text.tokenizer):
            found.append(f"{name} ({probe!a})")
    if not found:
        return ()
    return (
        f"What the tokenizer rewrites and llama.cpp's does not is read as other tokens: {', '.join(found)}.",
    )


def _difference(text: "Text", name: str, wanted: list[int], got: list[int], reader: str) -> str:
    at = next(
        (place for place, (one, other) in enumerate(zip(wanted, got, strict=False)) if one != other),
        min(len(wanted), len(got)),
    )

    def shown(ids: list[int]) -> str:
        near = ids[max(at - 2, 0) : at + 6]
        return f"{near} {text.tokenizer.convert_ids_to_tokens(near)}"

    return (
        f"{reader} reads the conversation “{name}” as other tokens than the model was trained with, from the {at + 1}th on: "
        f"trained {shown(wanted)}, read {shown(got)}; it is not exported."
    )


def folder_reads(folder: Path, text: "Text") -> Writes:
    """The ids as a user of the merged folder gets them, by transformers alone."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    return lambda messages: tokenizer.apply_chat_template(
        _rows(text, messages), add_generation_prompt=True, return_dict=False
    )


def _rows(text: "Text", messages: Sequence[Message]) -> list[dict[str, str]]:
    """As they are sent; with the run's system prompt where the template does not hold it."""
    turns = text.template.turns(messages) if text.template.kind == "own" else messages
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def gguf_reads(stored: Any, text: "Text") -> Writes:
    """The ids as an engine gets them from a GGUF file alone: its chat template, its tokens."""
    from transformers.utils.chat_template_utils import render_jinja_template

    def reads(messages: Sequence[Message]) -> list[int]:
        written, _ = render_jinja_template(
            conversations=[_rows(text, messages)],
            chat_template=stored.chat_template,
            add_generation_prompt=True,
            bos_token=stored.token("bos") or "",
            eos_token=stored.token("eos") or "",
        )
        return stored.ids(written[0])

    return reads


def noise(wanted: "torch.Tensor", got: "torch.Tensor") -> float:
    """How far logits (tokens, vocabulary) are from the wanted ones: the root mean square of their difference over
    that of the wanted ones' spread. What is added to all logits of a token alike changes no answer and is left out."""
    centred = wanted.float() - wanted.float().mean(-1, keepdim=True)
    difference = got.float() - wanted.float()
    difference = difference - difference.mean(-1, keepdim=True)
    return (difference.square().mean().sqrt() / centred.square().mean().sqrt()).item()


@dataclass(frozen=True)
class Voice:
    """What a model says: logits after every token of the conversations, and answers to the prompts."""

    logits: "torch.Tensor"  # (tokens, vocabulary)
    answers: tuple[str, ...]


def listen(model: "PreTrainedModel", text: "Text") -> Voice:
    """On whatever device the model is."""
    return Voice(logits_of(model, text), tuple(_answer(model, text, prompt) for prompt in PROMPTS))


def logits_of(model: "PreTrainedModel", text: "Text") -> "torch.Tensor":
    """(tokens, vocabulary): after the last tokens of each conversation; of all, they would be gigabytes."""
    import torch

    rows = []
    with torch.no_grad():
        for messages in CONVERSATIONS.values():
            try:
                ids = text.template.prompt_ids(messages, text.tokenizer)
            except TextError:
                continue
            logits = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits[0]
            rows.append(logits[-64:].float().cpu())
    return torch.cat(rows)


def _answer(model: "PreTrainedModel", text: "Text", prompt: str) -> str:
    import torch
    from transformers import GenerationConfig

    asked = text.template.prompt_ids([Message("user", prompt)], text.tokenizer)
    ids = torch.tensor([asked], device=model.device)
    settings = GenerationConfig(
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        eos_token_id=list(text.stop_ids),
        pad_token_id=text.tokenizer.pad_token_id,
    )
    with torch.no_grad():
        whole = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    return text.tokenizer.decode(whole[0, len(asked) :], skip_special_tokens=True).strip()


def side_by_side(wanted: Voice, got: Voice) -> tuple[Answer, ...]:
    return tuple(Answer(*each) for each in zip(PROMPTS, wanted.answers, got.answers, strict=True))


def as_text(checked: Checked) -> str:
    """For a person: one line, and the answers that differ."""
    if not checked.passed:
        return checked.mismatch
    lines = [
        f"{checked.format}: {checked.conversations} conversations give the same tokens; the logits differ by "
        f"{checked.noise:.2%} (at most {checked.bound:.2%}); {checked.same_answers} of {len(checked.answers)} answers are "
        "the same."
    ]
    for answer in checked.answers:
        if answer.wanted != answer.got:
            lines.append(
                f"  “{answer.prompt}” model: {answer.wanted[:SHOWN]!r} {checked.format}: {answer.got[:SHOWN]!r}"
            )
    return "\n".join([*lines, *(f"  {limit}" for limit in checked.limits)])
