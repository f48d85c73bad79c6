"""Trees of messages, as Open Assistant exports them: each message has replies, and people ranked these.

    {"prompt": {"text": "Who comes?", "role": "prompter", "replies": [{"text": "A fox.", "role": "assistant", "rank": 0}]}}

A path from the first message down to an answer is a conversation. Exports of one message a row, each with the id of
the message it replies to, are put together to such trees first.
"""

import ast
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from core.data.examples import Message
from core.data.remarks import Remark, RowError, excerpt
from core.data.rows import Read, Row
from core.data.shapes.fields import kind
from core.data.shapes.shape import Conversation, Reading
from core.data.shapes.turns import ROLES

DEEPEST = 100  # messages of a path
PYTHON_CHARACTERS = (
    200_000  # the most that is read as Python text; its syntax tree takes 500 times the memory
)
PENDING_CHARACTERS = 32_000_000  # of trees that rows may still belong to; the oldest are closed from there on
PER_MESSAGE = 500  # characters that a message is counted for besides its text
KEPT = ("text", "role", "rank", "deleted", "review_result")

PYTHON_TEXT = Remark(
    "python-text",
    "`replies` is a text that holds a Python list; it is read as that list.",
    "Nothing to do; json.dumps(row) writes it as JSON.",
)
NO_REPLY = Remark(
    "no-answer", "No message of the tree is an answer that can be used.", "Add one, or delete the line."
)


class _Node(NamedTuple):
    message: Message
    parent: int  # its place among the nodes; -1 of the first message
    depth: int
    rank: float  # 0 is the best


def is_tree(row: Row) -> bool:
    first = row["prompt"]
    return type(first) is dict and ("replies" in first or ("text" in first and "role" in first))


def is_flat(rows: Sequence[Row]) -> bool:
    """Whether most rows are one message each, to be put together by `trees`."""
    return sum(map(_is_flat, rows)) * 2 > len(rows)


def _is_flat(row: Row) -> bool:
    if not row.keys() >= {"message_id", "parent_id", "text", "role"}:
        return False
    return _nothing(row.get("replies")) or row["replies"] in ([], "", "[]")


def of_tree(row: Row, reading: Reading) -> list[Conversation]:
    """The conversations of {"prompt": {..., "replies": [...]}}."""
    return _conversations(row["prompt"], reading)


def of_message(row: Row, reading: Reading) -> list[Conversation]:
    """The conversations of a tree whose first message is the row itself."""
    if not _nothing(row.get("parent_id")) and _is_flat(row):
        raise RowError(
            "orphan-message",
            f"The row replies to a message, {excerpt(str(row['parent_id']), 40)}, which is not among the rows.",
            "Add that message, with the same `message_tree_id`, or delete the line.",
        )
    return _conversations(row, reading)


def _conversations(first: Row, reading: Reading) -> list[Conversation]:
    nodes, remarks = _usable(first)
    ends = _best(nodes) if reading.paths == "best" else _every(nodes)
    if not ends:
        raise RowError(*NO_REPLY)
    paths = [_path(nodes, end) for end in ends]
    return [Conversation(paths[0], remarks=remarks), *map(Conversation, paths[1:])]


def _usable(first: Row) -> tuple[list[_Node], tuple[Remark, ...]]:
    """The messages to learn from, each after the one it replies to; what replies to one left out is left out."""
    nodes: list[_Node] = []
    left_out = 0
    python = False
    waiting: list[tuple[Any, int, int]] = [(first, -1, 1)]
    while waiting:
        row, parent, depth = waiting.pop()
        message = _message(row)
        if message is None:
            left_out += 1
            continue
        if depth > DEEPEST:
            raise RowError(
                "too-deep",
                f"The tree has more than {DEEPEST} messages one after the other.",
                "Split it into conversations.",
            )
        nodes.append(_Node(message, parent, depth, _rank(row.get("rank"))))
        replies, was_python = _replies(row.get("replies"))
        python = python or was_python
        place = len(nodes) - 1
        waiting += ((reply, place, depth + 1) for reply in reversed(replies))
    if not nodes:
        raise RowError(
            "no-answer",
            "The first message of the tree has no text or no known role, was deleted, or failed its review.",
            "Delete the line.",
        )
    remarks = [PYTHON_TEXT] if python else []
    if left_out:
        remarks.append(
            Remark(
                "replies-left-out",
                f"Replies without a text or a known role, deleted, or without a passed review: {left_out:,}; "
                "they are left out, with what replies to them.",
                "Nothing to do, if it is meant.",
            )
        )
    return nodes, tuple(remarks)


def _message(row: Any) -> Message | None:
    if type(row) is not dict or type(row.get("text")) is not str:
        return None
    if _true(row.get("deleted")) or not _true(row.get("review_result", True)):
        return None
    side = row.get("role")
    role = ROLES.get(side) if isinstance(side, str) else None
    return Message(role, row["text"]) if role else None


def _replies(replies: Any) -> tuple[list[Any], bool]:
    """The list of replies, and whether it was written as Python text: "[{'text': ...}]"."""
    if type(replies) is list:
        return replies, False
    if _nothing(replies) or replies == "":
        return [], False
    if type(replies) is str:
        return _python_list(replies), True
    raise RowError("wrong-type", f"`replies` is {kind(replies)}, not a list.", "Write a list of messages.")


def _python_list(text: str) -> list[Any]:
    """The list that a text of Python holds. Nothing is run: only literals are read, and only so much."""
    listed = None
    if len(text) <= PYTHON_CHARACTERS:
        try:
            with warnings.catch_warnings(action="ignore"):  # of escapes in texts that Python does not know
                listed = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass  # said below
    if type(listed) is list:
        return listed
    raise RowError(
        "python-text",
        f"`replies` is a text (“{excerpt(text, 30)}”) that cannot be read as a list.",
        "Write the row with json.dumps(row), not with str().",
    )


def _rank(rank: Any) -> float:
    """The place among the replies, 0 for the best; those without one come last."""
    if not isinstance(rank, (str, int, float)) or isinstance(rank, bool):
        return float("inf")
    try:
        number = float(rank)
    except (ValueError, OverflowError):
        return float("inf")
    return number if number == number else float("inf")  # NaN is unequal to itself


def _true(value: Any) -> bool:
    return value is True or (type(value) is str and value.lower() == "true")


def _nothing(value: Any) -> bool:
    return value is None or value == "None"


def _best(nodes: list[_Node]) -> list[int]:
    """The last answer on the way down by the best-ranked replies; the first of equal ones."""
    replies: dict[int, list[int]] = {}
    for place, node in enumerate(nodes):
        replies.setdefault(node.parent, []).append(place)
    path = [0]
    while path[-1] in replies:
        path.append(min(replies[path[-1]], key=lambda place: nodes[place].rank))
    return [place for place in path if nodes[place].message.role == "assistant"][-1:]


def _every(nodes: list[_Node]) -> list[int]:
    """All answers after which no other answer comes."""
    answered = set()
    for place in reversed(range(1, len(nodes))):  # replies stand after what they reply to
        if place in answered or nodes[place].message.role == "assistant":
            answered.add(nodes[place].parent)
    return [
        place
        for place, node in enumerate(nodes)
        if node.message.role == "assistant" and place not in answered
    ]


def _path(nodes: list[_Node], end: int) -> tuple[Message, ...]:
    messages = []
    while end >= 0:
        messages.append(nodes[end].message)
        end = nodes[end].parent
    return tuple(reversed(messages))


@dataclass(slots=True)
class _Pending:
    """The rows of one tree, so far."""

    reads: dict[str, Read] = field(default_factory=dict)  # message id ->
    parents: dict[str, str | None] = field(default_factory=dict)  # message id -> that of what it replies to
    characters: int = 0

    def add(self, read: Read) -> bool:
        """Take a message; false if there is one with its id."""
        row = read.row
        name = str(row["message_id"])
        if name in self.reads:
            return False
        kept = {key: row[key] for key in KEPT if key in row} | {"replies": []}
        self.reads[name] = read._replace(row=kept, remarks=())
        self.parents[name] = None if _nothing(row["parent_id"]) else str(row["parent_id"])
        self.characters += PER_MESSAGE + (len(row["text"]) if type(row["text"]) is str else 0)
        return True

    def close(self) -> Iterator[Read]:
        """The trees that the messages make, and each message that is in none, to be said."""
        lost = self._lost()
        for name, read in self.reads.items():
            parent = self.parents[name]
            if name in lost:
                yield self._orphan(name)
            elif parent is not None:
                self.reads[parent].row["replies"].append(read.row)
        for name, read in self.reads.items():
            if self.parents[name] is None:
                yield read._replace(row={"prompt": read.row})

    def _lost(self) -> set[str]:
        """Messages to which no first message leads: a parent is missing, or they reply to each other."""
        leads: dict[str, bool] = {}  # message id -> whether a first message leads to it
        for name in self.parents:
            way: list[str] = []
            while name is not None and name in self.parents and name not in leads:
                leads[name] = False  # for the time being, and for good if this comes here again
                way.append(name)
                name = self.parents[name]
            leads.update(dict.fromkeys(way, name is None or leads.get(name, False)))
        return {name for name, found in leads.items() if not found}

    def _orphan(self, name: str) -> Read:
        row = {key: value for key, value in self.reads[name].row.items() if key != "replies"}
        return self.reads[name]._replace(row={"message_id": name, "parent_id": self.parents[name], **row})


def trees(reads: Iterable[Read]) -> Iterator[Read]:
    """Rows of one message each -> rows of one tree each, {"prompt": {...}}, where the first message stood.

    Other rows pass as they are, and so do messages whose parent is not there. Rows of a tree may come in any order;
    of a file larger than what may wait, only if they are not far from each other or name their tree.
    """
    pending: OrderedDict[str, _Pending] = OrderedDict()
    characters = 0
    for read in reads:
        if type(read.row) is not dict or not _is_flat(read.row):
            yield read
            continue
        tree = str(read.row.get("message_tree_id") or "")
        waiting = pending.setdefault(tree, _Pending())
        pending.move_to_end(tree)
        before = waiting.characters
        if not waiting.add(read):
            yield read._replace(row=None, remarks=(*read.remarks, _repeated(read.row)))
            continue
        if read.remarks:
            yield read._replace(row=None)
        characters += waiting.characters - before
        while characters > PENDING_CHARACTERS:
            closed = pending.popitem(last=False)[1]
            characters -= closed.characters
            yield from closed.close()
    for waiting in pending.values():
        yield from waiting.close()


def _repeated(row: Row) -> Remark:
    name = excerpt(str(row["message_id"]), 40)
    return Remark(
        "repeated-message", f"The message {name} is there twice; the first is used.", "Delete one of them."
    )
