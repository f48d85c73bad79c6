"""JSON that is no JSON lines -> rows: an array of objects, an object that holds one, or objects one by one.

The text is never held whole: a window moves over it, which grows only as far as the longest row.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from core.data.files.jsonl import Parser, plain_row
from core.data.files.lines import BYTE_ORDER_MARK
from core.data.remarks import Remark, excerpt, quoted
from core.data.rows import LONGEST, SHOWN, Read, Unread, too_long, unread

CHUNK = 2**20
GROWTH = 2**22  # at most, so that a long row is not held twice
PATIENCE = 2 * LONGEST  # bytes looked through in vain for the ends of rows
NEAR = 2**16  # bytes in which the end of a row is looked for by what came after the one before

SPACE = re.compile(rb"[ \t\r\n]*")
SPACE_OR_COMMA = re.compile(rb"[ \t\r\n,]*")
CLOSING = re.compile(rb"[}\]:]*")
SCALAR = re.compile(rb'[^,\[\]{}" \t\r\n]*')
KEY = re.compile(rb'\{\s*("[^"\n]{1,200}")')
BETWEEN = re.compile(rb'\}\s*,\s*\{\s*"[^"\n]{1,200}"')
# A line feed ends a text, too: it may not stand in one, so a quotation mark was lost or is one too many.
REST_OF_TEXT = rb'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+(["\n])?'
TEXT_END = re.compile(REST_OF_TEXT, re.DOTALL)
OPEN, CLOSE, TEXT = 1, 2, 3
TOKEN = re.compile(rb'([{\[])|([}\]])|"' + REST_OF_TEXT, re.DOTALL)

# An object with a list of objects is one row, not many, if the list is called so or holds messages.
PARTS_OF_A_ROW = {
    *("messages", "conversations", "conversation", "turns", "history", "dialog", "dialogue", "replies"),
    *("tools", "functions", "tool_calls", "choices", "instances", "paragraphs", "qas", "answers"),
}
MESSAGE = re.compile(rb'\[\s*\{\s*"(role|from|content|value|human|assistant|speaker|type)"')
HELD_OUT = {"test", "validation", "valid", "val", "dev", "eval"}

CUT = Remark(
    "truncated",
    "The file breaks off before its list ends; what comes before is read.",
    "Download or export the file again.",
)
REST_UNREAD = Remark(
    "not-json",
    "Here and before, brackets or quotation marks do not close; the rest of the file is not read.",
    "Export the file again with a JSON library, or write one object per line.",
)
STRAY = Remark(
    "not-json",
    "There is something between two rows that is none.",
    "Delete it; between two rows stands a comma.",
)


def rows(file: BinaryIO) -> Iterator[Read]:
    """What each element of the array is, on the line on which it begins."""
    window = _Window(file)
    if window.skip_mark():
        yield Read(1, None, (BYTE_ORDER_MARK,))
    reader = _Reader(window)
    while first := window.peek(SPACE_OR_COMMA):
        if first == b"[":
            window.pos += 1
            yield from reader.elements()
        elif first == b"{":
            yield from reader.object()
        else:
            yield reader.value()
        window.mark = window.pos
        if reader.over:
            return


class _Window:
    """A part of the file: what stands before `mark` can be forgotten, `pos` is read next."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.text = b""
        self.mark = self.pos = 0
        self.counted = 0  # up to here, lines are counted
        self.line = 1

    def skip_mark(self) -> bool:
        """Skip a byte order mark, if there is one."""
        self.more()
        found = self.text.startswith(b"\xef\xbb\xbf")
        self.mark = self.pos = 3 if found else 0
        return found

    def more(self) -> bool:
        """Read on, forgetting what is before the mark; false at the end of the file."""
        self.line_at(self.mark)
        self.text = self.text[self.mark :]
        self.pos -= self.mark
        self.counted -= self.mark
        self.mark = 0
        data = self.file.read(min(max(CHUNK, len(self.text)), GROWTH))
        self.text += data
        return bool(data)

    def line_at(self, at: int) -> int:
        """The line of a place that is not before the one asked for last."""
        self.line += self.text.count(b"\n", self.counted, at)
        self.counted = max(at, self.counted)
        return self.line

    def column_at(self, at: int) -> int:
        """How many columns come before a place, as far as they are in the window."""
        begin = self.text.rfind(b"\n", 0, at) + 1
        return len(self.text[begin:at].decode(errors="replace")) if begin else 0

    def peek(self, passed: re.Pattern[bytes] = SPACE) -> bytes:
        """The next byte that is none of those to be passed; b"" at the end of the file."""
        while True:
            self.pos = passed.match(self.text, self.pos).end()
            if self.pos < len(self.text):
                return self.text[self.pos : self.pos + 1]
            if not self.more():
                return b""

    def skip_value(self, keep: bool) -> bool:
        """Move to the end of the value that begins here; false if the file ends before.

        `keep` it in the window from the mark on; then false as well if it is too long for that.
        """
        if self.peek() not in (b"{", b"[", b'"'):
            return self._skip_scalar(keep)
        levels = 0
        while True:
            for token in TOKEN.finditer(self.text, self.pos):
                kind = token.lastindex
                if kind is None:  # a text that goes on
                    self.pos = token.start()
                    break
                levels += (kind == OPEN) - (kind == CLOSE)
                if not levels:
                    self.pos = token.end()
                    return True
            else:
                self.pos = len(self.text)
            if keep and len(self.text) - self.mark > LONGEST:
                return False
            if not keep and self.text[self.pos : self.pos + 1] == b'"':
                if not self._skip_text():
                    return False
                if not levels:
                    return True
            elif not self._go_on(keep):
                return False

    def _skip_text(self) -> bool:
        """Move past a text without keeping it."""
        self.pos += 1
        while True:
            end = TEXT_END.match(self.text, self.pos)
            self.pos = end.end()
            if end.lastindex:
                return True
            if not self._go_on(keep=False):
                return False

    def _skip_scalar(self, keep: bool) -> bool:
        while True:
            self.pos = SCALAR.match(self.text, self.pos).end()
            if self.pos < len(self.text):
                return True
            if keep and len(self.text) - self.mark > LONGEST:
                return False
            if not self._go_on(keep):
                return True

    def _go_on(self, keep: bool) -> bool:
        if not keep:
            self.mark = self.pos
        return self.more()


class _Reader:
    """Reads values that are rows."""

    def __init__(self, window: _Window) -> None:
        self.window = window
        self.parser = Parser()
        self.in_vain = 0
        self.between: bytes | None = (
            None  # what two rows had between them, which saves looking at every bracket
        )
        self.over = False  # the rest of the file is not read
        self.lists: list[str] = []  # the names of those that were read

    def elements(self) -> Iterator[Read]:
        """The rows of an array, from after its bracket to after the other."""
        window = self.window
        while True:
            window.mark = window.pos
            first = window.peek(SPACE_OR_COMMA)
            if first == b"{" and self.between:
                end = window.text.find(self.between, window.pos, window.pos + NEAR) + 1
                # What can be read up to there is the row, whatever stands in its texts.
                row = plain_row(window.text[window.pos : end]) if end else None
                if row is not None:
                    yield Read(window.line_at(window.pos), row)
                    window.pos = end
                    continue
            if first == b"]":
                window.pos += 1
                return
            elif not first:
                yield Read(window.line_at(window.pos), unread(CUT, b""))
                self.over = True
                return
            else:
                yield self.value()
                between = BETWEEN.match(window.text, window.pos - 1)
                self.between = between[0] if between else self.between
            if self.over:
                return

    def value(self) -> Read:
        """The row that begins here, or why there is none; afterwards, the window is behind it."""
        window = self.window
        window.mark = window.pos
        line = window.line_at(window.pos)
        if window.text[window.pos : window.pos + 1] in (b"}", b"]", b":"):
            window.pos = CLOSING.match(window.text, window.pos).end()
            return Read(line, unread(STRAY, window.text[window.mark : window.mark + SHOWN]))
        if not window.skip_value(keep=True):
            return self._unfinished(line)
        return self._finished(line)

    def _finished(self, line: int) -> Read:
        """A row whose brackets close, at `pos`."""
        window = self.window
        raw = window.text[window.mark : window.pos]
        if len(raw) > LONGEST:
            return Read(line, unread(too_long("row"), raw))
        row = plain_row(raw)
        if row is not None:
            return Read(line, row)
        read = self.parser.read(line, raw, window.column_at(window.mark))
        if not isinstance(read.row, Unread) or read.row.remark.code != "not-json":
            return read
        end = self._next_row()
        if end and end < window.pos:  # a quotation mark or bracket too many hid where the row ends
            return self._ended_at(end, line)
        if raw.startswith(b"{") and raw.endswith(b"]"):
            window.pos -= 1  # it closes the array
        return read

    def _unfinished(self, line: int) -> Read:
        """A row whose brackets do not close: the file breaks off in it, it is too long, or one is missing."""
        window = self.window
        beginning = window.text[window.mark : window.mark + 4 * SHOWN]
        end = self._next_row()
        if end:
            return self._ended_at(end, line)
        if len(window.text) - window.mark <= LONGEST:
            self.over = True
            return Read(line, unread(CUT, beginning))
        window.pos = window.mark
        self.over = not window.skip_value(keep=False)
        return Read(line, unread(too_long("row"), beginning))

    def _ended_at(self, end: int, line: int) -> Read:
        """A row that ends where the next seems to begin."""
        window = self.window
        self.in_vain += len(window.text) - window.mark
        raw = window.text[window.mark : end]
        if self.in_vain > PATIENCE:
            self.over = True
            return Read(line, unread(REST_UNREAD, raw))
        window.pos = end
        return self.parser.read(line, raw, window.column_at(window.mark))

    def _next_row(self) -> int:
        """Where this row ends if the next begins with the same key; 0 if there is none like that."""
        window = self.window
        key = KEY.match(window.text, window.mark)
        if not key:
            return 0
        if self.between and self.between.endswith(key[1]):
            return window.text.find(self.between, key.end()) + 1
        found = re.compile(rb"\}\s*,\s*\{\s*" + re.escape(key[1])).search(window.text, key.end())
        return found.start() + 1 if found else 0

    def object(self) -> Iterator[Read]:
        """The rows of lists in an object, or the object as a row if there is none."""
        window = self.window
        window.mark = begin = window.pos
        line = window.line_at(begin)
        lists = 0
        window.pos += 1
        while True:
            first = window.peek()
            if first == b",":
                window.pos += 1
                continue
            if first != b'"':
                break
            at = window.pos - window.mark
            if not window.skip_value(keep=True):
                break
            name = window.text[window.mark + at + 1 : window.pos - 1].decode(errors="replace")
            if window.peek() != b":":
                break
            window.pos += 1
            if self._is_list_of_rows(name):
                lists += 1
                yield from self._list(name)
                if self.over:
                    return
            elif not window.skip_value(keep=not lists):
                break
            if lists:
                window.mark = window.pos
        if first == b"}":
            window.pos += 1
            if not lists:
                yield self._finished(line)
        elif lists:
            yield Read(window.line_at(window.pos), unread(STRAY if first else CUT, b""))
            self.over = True
        else:
            window.pos = window.mark
            yield self.value()

    def _is_list_of_rows(self, name: str) -> bool:
        window = self.window
        if window.peek() != b"[" or name.lower() in PARTS_OF_A_ROW:
            return False
        while len(window.text) - window.pos < SHOWN and window.more():
            pass
        inside = SPACE.match(window.text, window.pos + 1).end()
        return window.text[inside : inside + 1] == b"{" and not MESSAGE.match(window.text, window.pos)

    def _list(self, name: str) -> Iterator[Read]:
        window = self.window
        line = window.line_at(window.pos)
        if self.lists and name.lower() in HELD_OUT:
            yield Read(line, None, (_left_out(name, self.lists),))
            self.over = not window.skip_value(keep=False)
            if self.over:
                yield Read(line, unread(CUT, b""))
            return
        if self.lists:
            yield Read(line, None, (_one_more(name, self.lists),))
        self.lists.append(name)
        window.pos += 1
        window.mark = window.pos
        yield from self.elements()


def _left_out(name: str, others: list[str]) -> Remark:
    return Remark(
        "several-lists",
        f"The list `{excerpt(name, 30)}` is left out, as {quoted(others)} is read.",
        "To use it, write it to a file of its own, and choose that, too.",
    )


def _one_more(name: str, others: list[str]) -> Remark:
    return Remark(
        "several-lists",
        f"The list `{excerpt(name, 30)}` begins; it is read like {quoted(others)}.",
        "If it is not to be learned, take it out of the file.",
    )
