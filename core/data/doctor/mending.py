"""An example without the damage that a program can repair. For cleaned copies: reading mends nothing.

Non-breaking spaces, typographic signs and everything else that someone may have meant stay as they are.
"""

import re
from dataclasses import replace

from core.data.doctor.texts import BIDI, CONTROL, SUSPECT, mojibake
from core.data.examples import Example, Message
from core.data.remarks import Remark, excerpt, visible

# "\frac" written with one backslash in JSON is a form feed and "rac"; "\beta" a backspace and "eta".
LATEX = re.compile(
    "\f(?=rac|orall|lat\\b|box)|\b(?=egin|eta\\b|ar\\b|oxed|inom|ullet|mod\\b|f\\{|ig\\b|ot\\b|ecause)"
)
BACKSLASHED = {"\f": "\\f", "\b": "\\b"}
MEANT = "Nothing to do, if it reads right now; otherwise write the text anew."


def mend(example: Example) -> tuple[Example, tuple[Remark, ...]]:
    """The example without damage, and what was mended, each kind once; the example itself if nothing was."""
    remarks: dict[str, Remark] = {}
    messages = tuple(_mended(message, remarks) for message in example.messages)
    return (replace(example, messages=messages), tuple(remarks.values())) if remarks else (example, ())


def _mended(message: Message, remarks: dict[str, Remark]) -> Message:
    text = message.content
    for step in (_latex, _encoding, _invisible, _end):
        text, remark = step(text)
        if remark:
            remarks.setdefault(remark.code, remark)
    return message if text == message.content else replace(message, content=text)


def _latex(text: str) -> tuple[str, Remark | None]:
    found = LATEX.search(text)
    if not found:
        return text, None
    command = BACKSLASHED[found.group()] + re.match(r"\w*", text[found.end() :]).group()
    why = f"A control character stood for a backslash and its letter; they were put back: “{excerpt(command, 30)}”."
    return LATEX.sub(lambda each: BACKSLASHED[each.group()], text), Remark("mended-latex", why, MEANT)


def _encoding(text: str) -> tuple[str, Remark | None]:
    from ftfy import fix_encoding  # takes longer to import than a small data set to read

    pair = mojibake(text) if SUSPECT.search(text) else None
    mended = fix_encoding(text) if pair else text
    if mended == text:
        return text, None
    why = f"Text that was once read in a wrong encoding was repaired: “{pair[0]}” is “{pair[1]}” now."
    return mended, Remark("mended-mojibake", why, MEANT)


def _invisible(text: str) -> tuple[str, Remark | None]:
    found = CONTROL.search(text) or BIDI.search(text)
    if not found:
        return text, None
    why = f"Control characters and marks that turn the direction of writing were removed: {visible(found.group())}."
    return BIDI.sub("", CONTROL.sub("", text)), Remark("mended-invisible", why, MEANT)


def _end(text: str) -> tuple[str, Remark | None]:
    if not text or not text[-1].isspace():
        return text, None
    mended = text.rstrip(" \t\r\n")
    if mended == text or not mended:
        return text, None
    return mended, Remark("mended-end", "Spaces or line breaks at the end of a text were removed.", MEANT)
