"""The page in its reader's language: English in the code, French in locale/fr/.

A sentence's key is the English sentence. What stands on a page from its start is translated in the browser, by gradio's own
i18n; what the server draws is translated here, for whoever asks:

t("Base model")                               a label, a heading, a sentence without gaps
t("{name} is loaded.", name=text(run.name))   one with gaps; HTML, where the values are HTML
said("Port 80 is in use; ...")                a sentence of core's, which speaks English to everybody, as text
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import yaml
from gradio.context import Context, LocalContext

from webui.sentences import NO_BREAK, Catalogue

LOCALE = Path(__file__).with_name("locale")
ENGLISH, FRENCH = "en", "fr"
# A number by itself: no part of a version, a date, a path or a name.
_NUMBER = re.compile(
    r"(?<![\w.,/:])(?<!\w-)((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?)(?![.,/:-]*[\w/])(%?)"
)
_INTERVAL = re.compile(r"\[[−+-]?[\d.,]+, [−+-]?[\d.,]+\]")
_FRENCH_SIGNS = str.maketrans({",": "\u202f", ".": ","})
# How gradio marks words for the browser.
_MARK = re.compile(r'__i18n__({"__type__": "translation_metadata", "key": "(?:[^"\\]|\\.)*"})')


_drawn: dict[str, str] = {}  # static HTML in French, by the English one


class Static(str):
    """Words as gradio marks them for the browser to translate. Nobody typed them, so they need no escaping, and bear none."""


def i18n() -> gr.I18n:
    """The words that stand on a page from its start, for `launch(i18n=...)`; to be called when the page is built."""
    return gr.I18n(en={}, fr=words(FRENCH) | _drawn)


def drawn(html: str) -> str:
    """HTML that stands on a page from its start, with any number of static words in it. Gradio translates one mark in a text
    and no second, so the whole becomes one."""
    english = _MARK.sub(_key, html)
    if english == html:
        return html
    _drawn[english] = _MARK.sub(lambda mark: words(FRENCH).get(_key(mark), _key(mark)), html)
    return Static(gr.I18n()(english))


def _key(mark: re.Match) -> str:
    return json.loads(mark[1])["key"]


def js(sentence: str) -> str:
    """A JavaScript expression that is the sentence in the browser's language."""
    both = json.dumps(sentence), json.dumps(words(FRENCH).get(sentence, sentence))
    return f"(navigator.language.startsWith('fr') ? {both[1]} : {both[0]})"


def language() -> str:
    """Of whoever's request this thread is answering; English where that is nobody's."""
    request = LocalContext.request.get(None)
    return preferred(request.headers.get("accept-language", "") if request else "")


def preferred(accepted: str) -> str:
    """The first of an Accept-Language header (RFC 9110, 12.5.4), which is the browser's own, if we speak it; else English."""
    first = accepted.partition(",")[0].partition(";")[0].strip().lower()
    return FRENCH if first.partition("-")[0] == FRENCH else ENGLISH


def t(key: str, **gaps: Any) -> str:
    """The sentence for whoever asks. While a page is being built, that is left to the browser; such words have no gaps."""
    if LocalContext.request.get(None) is None and Context.root_block is not None and not gaps:
        return Static(gr.I18n()(key))
    return _filled(key, gaps, language())


def sentence_for(key: str, accepted: str, **gaps: Any) -> str:
    """The sentence for who sent this Accept-Language header, where gradio does not know yet who asks."""
    return _filled(key, gaps, preferred(accepted))


def _filled(key: str, gaps: dict[str, Any], language: str) -> str:
    found = words(FRENCH).get(key, key) if language == FRENCH else key
    return found.format(**gaps) if gaps else found


def number(value: float, form: str = ",") -> str:
    """A number as whoever asks writes it; `form` is Python's: `number(1234.5, ",.1f")` is `1,234.5`, or `1 234,5`."""
    return signs(format(value, form))


def signs(written: str) -> str:
    """The numbers in a text of ours as whoever asks writes them."""
    return _french_numbers(written) if language() == FRENCH else written


def said(sentence: str) -> str:
    """What core said, as text that is not yet escaped: in the reader's language, as far as its parts are known."""
    return french(sentence) if language() == FRENCH else sentence


def french(sentence: str) -> str:
    """A sentence of core's in French, as far as its parts are known."""
    return _core().translated(sentence)


@cache
def words(language: str) -> dict[str, str]:
    """What the page says, in another language, by what it says in English."""
    return _read(LOCALE / language)


@cache
def core_words(language: str) -> dict[str, str]:
    """What core says, in another language; `{}` stands where a value is filled in."""
    return _read(LOCALE / language / "core")


def _read(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        found |= yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    return found


@cache
def _core() -> Catalogue:
    return Catalogue(core_words(FRENCH), _french_numbers)


def _french_numbers(text: str) -> str:
    """`1,234.5` as `1 234,5`, `60%` as `60 %` and `[0.4, 0.6]` as `[0,4 ; 0,6]`; versions and addresses stay."""
    text = _INTERVAL.sub(lambda found: found[0].replace(", ", f"{NO_BREAK}; "), text)
    return _NUMBER.sub(_in_french, text)


def _in_french(number: re.Match) -> str:
    return number[1].translate(_FRENCH_SIGNS) + (f"{NO_BREAK}%" if number[2] else "")
