"""Examples -> those to train on and those to measure on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.examples import Example, Message


@dataclass(frozen=True, slots=True)
class Split:
    """Two parts of a data set; no conversation is in both."""

    train: tuple[Example, ...]
    held_out: tuple[Example, ...]


def split(examples: Sequence[Example], held_out_fraction: float, seed: int) -> Split:
    """The examples in two parts, each in the order given; the same everywhere for the same examples and seed.

    Copies of a conversation stay together, so that nothing measured was trained on. Where copies leave no way
    to hold out the share asked for, it is less, but never nothing if there are two different conversations.
    """
    copies: dict[tuple[Message, ...], int] = {}
    for example in examples:
        copies[example.messages] = copies.get(example.messages, 0) + 1
    if not held_out_fraction or len(copies) < 2:
        return Split(tuple(examples), ())
    room = round(len(examples) * held_out_fraction)
    drawn = sorted(copies, key=lambda messages: _lot(messages, seed))
    held_out = set()
    for messages in drawn:
        if copies[messages] <= room:
            held_out.add(messages)
            room -= copies[messages]
    held_out = held_out or {min(drawn, key=copies.__getitem__)}
    return Split(
        tuple(example for example in examples if example.messages not in held_out),
        tuple(example for example in examples if example.messages in held_out),
    )


def _lot(messages: tuple[Message, ...], seed: int) -> bytes:
    """The lot drawn for a conversation, whatever the others are: most keep their side when a file grows.

    Unlike hash() and random.shuffle, it is the same in every Python.
    """
    text = json.dumps([seed, *((message.role, message.content) for message in messages)])
    return hashlib.sha256(text.encode()).digest()
