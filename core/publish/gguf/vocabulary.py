"""A tokenizer as a GGUF file holds it, or the sentence that says why llama.cpp would read texts otherwise.

llama.cpp has tokenizers of its own, two of which are written here:

* `llama`: pieces that score, merged best first, spaces as ▁ (SentencePiece's BPE). It has no Unicode rules.
* `gpt2`: byte-level BPE, after a pre-tokenizer that llama.cpp knows by name. The name is found by comparing the
  tokenizer's own patterns with those that llama.cpp has under it; a tokenizer with other ones is refused.

Nothing here is believed: `reading` tokenizes with what was written, and the gate compares the ids.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from transformers import PreTrainedTokenizerFast

from core.errors import PublishError
from core.text.writing import quoted

# Line break, tab, carriage return, spaces of print, dots, ligatures, raised digits, fractions.
OFTEN_REWRITTEN = "\n\t\r\u00a0\u202f\u2009\u3000…ﬁﬂ²³½¼"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # token types of GGUF
SPACE = "▁"
OTHERWISE = "export it with a llama.cpp checkout instead (--llama-cpp DIR)"

LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
DIGIT = r"\p{N}"


@dataclass(frozen=True)
class Pre:
    """A pre-tokenizer that llama.cpp knows: its name there, and how texts are cut, one pattern after the other."""

    name: str
    patterns: tuple[str, ...]
    whole_first: bool = False  # a stretch that is a token is one, whatever the merges would make of it


PRES = (
    Pre("gpt-2", (GPT2,)),
    Pre("smollm", (DIGIT, GPT2)),
    Pre("llama-bpe", (rf"{ENDINGS}|{LETTERS}|\p{{N}}{{1,3}}|{REST}",), whole_first=True),
    Pre("qwen2", (rf"{ENDINGS}|{LETTERS}|\p{{N}}|{REST}",)),
    Pre(
        "qwen35",
        (rf"{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",),
    ),
    Pre(
        "tekken",
        (
            rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|\p{{N}}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        whole_first=True,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says of a tokenizer. Lists are by id."""

    model: Literal["llama", "gpt2"]
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    add_bos: (
        bool  # whether a text gets its first token from the engine; the chat template's own is then left out
    )
    chat_template: str
    bos: int | None
    eos: int | None
    unknown: int | None
    padding: int | None
    ends_turn: int | None
    pre: str = "default"
    scores: tuple[float, ...] = ()  # llama
    merges: tuple[str, ...] = ()  # gpt2
    add_space_prefix: bool = False  # llama


def vocabulary_of(
    tokenizer: PreTrainedTokenizerFast, rows: int, stops: Sequence[int], begins: bool
) -> Vocabulary:
    """PublishError, in one sentence, if llama.cpp would read texts otherwise than this tokenizer.

    `rows` of the embedding, which may be padded; `stops`: ids that end an answer, the one that ends the turn first;
    `begins`: whether what is trained begins with the tokenizer's first token.
    """
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    model = spec["model"]
    if model["type"] != "BPE":
        raise PublishError(
            f"A GGUF file is written here for BPE tokenizers, and this one is {model['type']}: {OTHERWISE}."
        )
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise PublishError(
            f"The tokenizer marks parts of words, which llama.cpp's BPE does not: {OTHERWISE}."
        )
    tokens, types = _table(tokenizer, model, rows)
    common = {
        "tokens": tokens,
        "types": types,
        "add_bos": begins,
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "unknown": tokenizer.unk_token_id,
        "padding": tokenizer.pad_token_id,
        "ends_turn": next((each for each in stops if each != tokenizer.eos_token_id), None),
        "chat_template": chat_template(tokenizer),
    }
    if _is_byte_level(spec):
        pre = _pre_of(spec)
        merges = tuple(" ".join(pair) for pair in _merges(model))
        return Vocabulary("gpt2", pre=pre.name, merges=merges, **common)
    prefix = _prefix(spec)
    scores = _scores(model, tokens, types)
    return Vocabulary("llama", scores=scores, add_space_prefix=prefix, **common)


def chat_template(tokenizer: PreTrainedTokenizerFast) -> str:
    """The tokenizer's, written so that an engine without its Unicode rules gives the same ids.

    A SentencePiece model may make a line break a space and "…" three dots before it reads a text; llama.cpp would read
    bytes there. So the commonest letters of that kind are replaced in what the template has written, words of users
    included. The others are among what the gate finds to be read otherwise.
    """
    text = tokenizer.chat_template
    if not isinstance(text, str):
        raise PublishError("The tokenizer has several chat templates, or none, and a GGUF file holds one.")
    filters = "".join(
        f" | replace({quoted(old)}, {quoted(new)})" for old, new in rewritten(tokenizer).items()
    )
    return f"{{%- set written %}}{text}{{%- endset %}}{{{{- written{filters} }}}}" if filters else text


def rewritten(tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    """What the tokenizer's Unicode rules make of the letters that stand in many texts, where it is another text."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    if normalizer is None:
        return {}
    before, _, after = normalizer.normalize_str("xx").partition("xx")  # what is put around every text
    read = {
        letter: normalizer.normalize_str(f"x{letter}x").removeprefix(before).removesuffix(after)[1:-1]
        for letter in OFTEN_REWRITTEN
    }
    plain = {letter: text.replace(SPACE, " ") for letter, text in read.items()}
    return {letter: text for letter, text in plain.items() if text != letter}


def _table(tokenizer: PreTrainedTokenizerFast, model: dict[str, Any], rows: int) -> tuple[tuple, tuple]:
    by_id = {number: piece for piece, number in model["vocab"].items()}
    added = tokenizer.added_tokens_decoder
    count = max(rows, 1 + max([*by_id, *added]))
    if count > rows:
        raise PublishError(
            f"The tokenizer has {count:,} tokens and the model's embedding {rows:,} rows, so they do not belong together."
        )
    made = None if not model.get("byte_fallback") else {left + right for left, right in _merges(model)}
    tokens, types = [], []
    for number in range(count):
        if number in added:
            token = added[number]
            kind = CONTROL if token.special else USER_DEFINED
            if number == tokenizer.unk_token_id:
                kind = UNKNOWN
            tokens.append(token.content)
        elif number in by_id:
            tokens.append(by_id[number])
            kind = _kind(by_id[number], made)
        else:
            tokens.append(f"[PAD{number}]")
            kind = UNUSED
        types.append(kind)
    return tuple(tokens), tuple(types)


def _kind(piece: str, made: set[str] | None) -> int:
    """Of a piece of the vocabulary itself. One that no merge makes is read whole: a symbol of the user's own."""
    if made is None:
        return NORMAL
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return BYTE
    return NORMAL if len(piece) == 1 or piece in made else USER_DEFINED


def _is_byte_level(spec: dict[str, Any]) -> bool:
    return any(step["type"] == "ByteLevel" for step in _steps(spec["pre_tokenizer"], "pretokenizers"))


def _steps(part: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    return (
        [step for each in part[name] for step in _steps(each, name)] if part["type"] == "Sequence" else [part]
    )


def _pre_of(spec: dict[str, Any]) -> Pre:
    """The pre-tokenizer of llama.cpp that cuts texts as this tokenizer does, by its patterns."""
    for step in _steps(spec["normalizer"], "normalizers"):
        if step["type"] != "NFC":
            raise PublishError(
                f"The tokenizer rewrites texts ({step['type']}), which llama.cpp does not: {OTHERWISE}."
            )
    patterns = tuple(_patterns(_steps(spec["pre_tokenizer"], "pretokenizers")))
    whole_first = bool(spec["model"].get("ignore_merges"))
    for pre in PRES:
        if pre.patterns == patterns and pre.whole_first == whole_first:
            return pre
    named = " then ".join(patterns) + (", whole tokens first" if whole_first else "")
    raise PublishError(
        f"llama.cpp has no pre-tokenizer that is known here to cut texts as this tokenizer does ({named}): {OTHERWISE}."
    )


def _patterns(steps: list[dict[str, Any]]) -> Iterator[str]:
    for step in steps:
        match step:
            case {"type": "ByteLevel", "add_prefix_space": True}:
                raise PublishError(
                    f"The tokenizer puts a space before texts, which llama.cpp's does not: {OTHERWISE}."
                )
            case {"type": "ByteLevel", "use_regex": True}:
                yield GPT2
            case {"type": "ByteLevel"}:
                pass
            case {"type": "Digits", "individual_digits": True}:
                yield DIGIT
            case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}:
                yield pattern
            case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True}:
                yield pattern
            case _:
                yield f"a step {step['type']}"


def _merges(model: dict[str, Any]) -> list[tuple[str, str]]:
    return [tuple(pair.split(" ", 1)) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]


def _prefix(spec: dict[str, Any]) -> bool:
    """Whether each stretch of text gets a space before it."""
    if not spec["model"].get("byte_fallback"):
        raise PublishError(
            f"The tokenizer has no pieces for bytes, without which llama.cpp cannot read unknown letters: {OTHERWISE}."
        )
    normalizers = _steps(spec["normalizer"], "normalizers")
    for step in _steps(spec["pre_tokenizer"], "pretokenizers"):
        if step["type"] == "Metaspace":
            return step["prepend_scheme"] == "always"
    if not any(step["type"] == "Replace" and step["content"] == SPACE for step in normalizers):
        raise PublishError(f"The tokenizer is neither byte-level BPE nor SentencePiece's: {OTHERWISE}.")
    return any(step["type"] == "Prepend" for step in normalizers)


def _scores(model: dict[str, Any], tokens: Sequence[str], types: Sequence[int]) -> tuple[float, ...]:
    """llama.cpp merges the pair whose joined piece scores best, the leftmost first; here are ranks of pairs.

    The pairs that make one piece have ranks next to each other, since SentencePiece scores pieces. Where those of
    several pieces lie between each other, the pieces score the same (runs of ▁ in Llama 2).
    """
    spans: dict[str, list[int]] = {}
    for rank, (left, right) in enumerate(_merges(model)):
        spans.setdefault(left + right, [rank, rank])[1] = rank
    scores: dict[str, float] = {}
    end, score = -1, 0.0
    for piece, (first, last) in sorted(spans.items(), key=lambda each: each[1]):
        if first > end:
            score = -float(first)
        scores[piece] = score
        end = max(end, last)
    lowest = -float(len(spans) + len(model["merges"]) + 1)
    return tuple(
        scores.get(token, lowest) if kind == NORMAL else (lowest if kind == UNUSED else 0.0)
        for token, kind in zip(tokens, types, strict=True)
    )
