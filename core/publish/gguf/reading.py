"""A GGUF file opened again: what it says, its tensors, and the ids that llama.cpp reads a text as with it.

The tokenizers here are llama.cpp's two, written anew from how it goes about them and fed with nothing but what stands
in the file; they share no code with the ones of transformers. The cutting patterns are those that llama.cpp has under
a pre-tokenizer's name, some of which it writes otherwise than the tokenizers they are for.
"""

import hashlib
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import regex

from core.errors import PublishError
from core.publish.gguf.vocabulary import CONTROL, DIGIT, GPT2, PRES, SPACE, UNKNOWN, USER_DEFINED
from core.publish.gguf.write import Written

ASCII_CASE = r"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+|[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))+((?=[\p{L}])([^A-Z]))*"
CUTS = {pre.name: pre.patterns for pre in PRES} | {
    "gpt-2": (GPT2.removesuffix(r"|\s+"),),
    "smollm": (DIGIT, GPT2.removesuffix(r"|\s+")),
    "tekken": (rf"{ASCII_CASE}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",),
}
FIRST_UNLESS_SAID = (
    "llama-bpe",
    "tekken",
)  # pre-tokenizers with which llama.cpp begins a text with a first token
WHOLE_FIRST = {pre.name for pre in PRES if pre.whole_first}


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    kind: str
    data: np.ndarray  # as it is stored


class Stored:
    """A GGUF file. PublishError if it cannot be opened as one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._reader = gguf.GGUFReader(path)
        except (OSError, ValueError, IndexError) as error:
            raise PublishError(f"{path} cannot be opened as a GGUF file: {error}") from error

    @cached_property
    def says(self) -> dict[str, Any]:
        """Every key and value of the file."""
        return {
            key: field.contents() for key, field in self._reader.fields.items() if not key.startswith("GGUF.")
        }

    def tensors(self) -> Iterator[Tensor]:
        for tensor in self._reader.tensors:
            shape = tuple(int(size) for size in reversed(tensor.shape))
            yield Tensor(tensor.name, shape, tensor.tensor_type.name, tensor.data)

    @property
    def chat_template(self) -> str:
        return self.says["tokenizer.chat_template"]

    def token(self, office: str) -> str | None:
        """The text of its first token, its end token, ...: bos, eos, unknown, padding."""
        number = self.says.get(f"tokenizer.ggml.{office}_token_id")
        return None if number is None else self._tokens[number]

    @cached_property
    def _tokens(self) -> list[str]:
        return self.says["tokenizer.ggml.tokens"]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self._tokens)}

    @cached_property
    def _apart(self) -> regex.Pattern[str]:
        """Tokens that are found before anything else, the longest first."""
        kinds = (CONTROL, USER_DEFINED, UNKNOWN)
        names = {
            token
            for token, kind in zip(self._tokens, self.says["tokenizer.ggml.token_type"], strict=True)
            if kind in kinds and token
        }
        return regex.compile("|".join(map(regex.escape, sorted(names, key=len, reverse=True))) or "(?!)")

    def ids(self, text: str, first: bool = True) -> list[int]:
        """What llama.cpp reads `text` as, special tokens in it obeyed; `first`: with what it puts before and after texts.

        Of a text that begins with that token already, it is taken away first, as llama.cpp does with chat templates.
        """
        kind, pre = self.says["tokenizer.ggml.model"], self.says.get("tokenizer.ggml.pre", "default")
        unless_said = kind == "llama" or pre in FIRST_UNLESS_SAID
        begins = first and self.says.get("tokenizer.ggml.add_bos_token", unless_said)
        ids = [self.says["tokenizer.ggml.bos_token_id"]] if begins else []
        if begins:
            text = text.removeprefix(self.token("bos"))
        place, after_special = 0, True
        for match in [*self._apart.finditer(text), None]:
            stretch = text[place : match.start() if match else len(text)]
            if stretch:
                ids += self._read(stretch, after_special)
                after_special = False
            if match:
                ids.append(self._ids[match[0]])
                place, after_special = match.end(), True
        ends = first and self.says.get("tokenizer.ggml.add_eos_token", False)
        return [*ids, self.says["tokenizer.ggml.eos_token_id"]] if ends else ids

    def _read(self, text: str, after_special: bool) -> list[int]:
        kind, pre = self.says["tokenizer.ggml.model"], self.says.get("tokenizer.ggml.pre", "default")
        if kind not in ("llama", "gpt2") or (kind == "gpt2" and pre not in CUTS):
            raise PublishError(
                f"How llama.cpp tokenizes for {self.path.name} ({kind}, {pre}) is not known here."
            )
        if kind == "gpt2":
            return [number for word in self._words(text) for number in self._byte_level(word)]
        prefix = " " if after_special and self.says.get("tokenizer.ggml.add_space_prefix", True) else ""
        return self._pieces((prefix + text).replace(" ", SPACE))

    def _pieces(self, text: str) -> list[int]:
        """Pairs are joined as long as a piece comes of it, the best score first, of equal ones the leftmost."""
        scores = self.says["tokenizer.ggml.scores"]

        def rank(joined: str) -> float | None:
            number = self._ids.get(joined)
            return None if number is None else -scores[number]

        ids = []
        for piece in joined(list(text), lambda left, right: rank(left + right)):
            number = self._ids.get(piece)
            if number is None:
                ids += [self._ids[f"<0x{byte:02X}>"] for byte in piece.encode()]
            else:
                ids.append(number)
        return ids

    def _words(self, text: str) -> list[str]:
        """Cut by one pattern after the other; what stands between two matches is a stretch too."""
        words = [text]
        for pattern in CUTS[self.says["tokenizer.ggml.pre"]]:
            words = [part for word in words for part in _cut(pattern, word)]
        return words

    def _byte_level(self, word: str) -> list[int]:
        text = "".join(BYTES[byte] for byte in word.encode())
        if self.says["tokenizer.ggml.pre"] in WHOLE_FIRST and text in self._ids:
            return [self._ids[text]]
        return [
            self._ids[piece]
            for piece in joined(list(text), lambda left, right: self._merges.get((left, right)))
        ]

    @cached_property
    def _merges(self) -> Mapping[tuple[str, str], int]:
        return {
            tuple(pair.split(" ", 1)): rank for rank, pair in enumerate(self.says["tokenizer.ggml.merges"])
        }


def joined(pieces: list[str], rank: Any) -> list[str]:
    """Neighbours joined, the pair of the lowest rank first, of equal ones the leftmost; `rank` is None for none."""
    following = [*range(1, len(pieces)), -1] if pieces else []
    before = list(range(-1, len(pieces) - 1))
    waiting: list[tuple[float, int, int, str]] = []

    def consider(left: int, right: int) -> None:
        if left >= 0 and right >= 0 and (found := rank(pieces[left], pieces[right])) is not None:
            heapq.heappush(waiting, (found, left, right, pieces[left] + pieces[right]))

    for place in range(1, len(pieces)):
        consider(place - 1, place)
    while waiting:
        _, left, right, whole = heapq.heappop(waiting)
        if not pieces[left] or not pieces[right] or pieces[left] + pieces[right] != whole:
            continue
        pieces[left], pieces[right] = whole, ""
        following[left] = following[right]
        if following[left] >= 0:
            before[following[left]] = left
        consider(before[left], left)
        consider(left, following[left])
    return [piece for piece in pieces if piece]


def _cut(pattern: str, text: str) -> Iterator[str]:
    place = 0
    for match in regex.finditer(pattern, text):
        if match.start() > place:
            yield text[place : match.start()]
        if match[0]:
            yield match[0]
        place = match.end()
    if place < len(text):
        yield text[place:]


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in byte-level BPE: itself if it can be seen, else one from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in seen else chr(next(others)) for byte in range(256)]


BYTES = _byte_letters()


def check_tensors(stored: Stored, written: Mapping[str, Written]) -> None:
    """PublishError if a tensor of the file is not, byte for byte, what was to be written."""
    found = {
        tensor.name: Written(
            tensor.shape, tensor.kind, hashlib.sha256(np.ascontiguousarray(tensor.data).tobytes()).hexdigest()
        )
        for tensor in stored.tensors()
    }
    for name in sorted({*found, *written}):
        if found.get(name) != written.get(name):
            raise PublishError(
                f"The tensor {name} of {stored.path.name} is {_told(found.get(name))}, and was written as "
                f"{_told(written.get(name))}: the disk or the writer fails; nothing is exported."
            )


def check_says(stored: Stored, prefix: str, wanted: Mapping[str, Any]) -> None:
    """PublishError if the file says something else than what was to be said; fractions are float32 there."""
    for key, value in wanted.items():
        found = stored.says.get(f"{prefix}.{key}")
        if isinstance(value, float):
            value = float(np.float32(value))
        if found != (list(value) if isinstance(value, tuple) else value):
            raise PublishError(
                f"{stored.path.name} says {str(found)[:80]!r} as {prefix}.{key}, and {str(value)[:80]!r} was written: the "
                "disk or the writer fails; nothing is exported."
            )


def _told(tensor: Written | None) -> str:
    if tensor is None:
        return "not there"
    return f"{tensor.kind} {'x'.join(map(str, tensor.shape))} ({tensor.sha256[:12]})"
