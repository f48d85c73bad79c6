"""The small parts that every page is made of."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import quote

from webui import language
from webui.language import Static, number, t

PAGES = {
    "": "Data",
    "train": "Train",
    "runs": "Runs",
    "evaluate": "Evaluate",
    "compare": "Compare",
    "chat": "Chat",
    "publish": "Publish",
}


INTERVALS = "In brackets: where the true value lies with 95 % confidence. A down arrow: lower is better."


def text(value: object) -> str:
    """Any value as text that cannot become markup; not translated, since people and models wrote it."""
    return value if isinstance(value, Static) else escape(str(value), quote=True)


def as_written(value: object) -> str:
    """The same as HTML that says that it is in no language of the page, so that browsers do not translate it either."""
    return f'<span translate="no">{text(value)}</span>'


def said(sentence: str) -> str:
    """A sentence of core's in the reader's language, as HTML in which what stands between backticks is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(language.said(sentence)))


def address(page: str, run: str = "") -> str:
    """The link to a page, opened on a run. Relative to the page's base, so all may be served below any path."""
    return f"./{page}/{quote(run, safe='')}" if run else f"./{page}"


BRAND = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><path d="M5 22C11 22 12 9 16 9s5 13 11 13" fill="none" '
    'stroke="currentColor" stroke-width="3.5" stroke-linecap="round"/></svg>Atelier'
)


def header(here: str) -> str:
    """The name and the way to every page."""
    links = "".join(
        f'<a href="{address(path)}"{" aria-current=page" if path == here else ""}>{t(name)}</a>'
        for path, name in PAGES.items()
    )
    skip = f'<a class="skip" href="{address(here)}">{t("Skip to the content")}</a>'
    return f'{skip}<header class="top"><a class="brand" href="./">{BRAND}</a><nav aria-label="{t("Pages")}">{links}</nav></header>'


def heading(title: str, lead: str) -> str:
    return f'<div class="heading"><h1>{text(title)}</h1><p>{text(lead)}</p></div>'


def section(title: str, aside: str = "") -> str:
    return f'<h2 class="section">{text(title)}{f" <small>{text(aside)}</small>" if aside else ""}</h2>'


def alert(sentence: str) -> str:
    return f'<p class="alert" role="alert">{said(sentence)}</p>'


def hint(sentence: str) -> str:
    """Pages of ours that it names, as in `the Data page`, are links."""
    shown = text(sentence)
    for path, name in PAGES.items():
        named = t(f"{name} page")
        shown = shown.replace(named, f'<a href="{address(path)}">{named}</a>')
    return f'<p class="hint">{shown}</p>'


def waiting(sentence: str) -> str:
    """A sign that something is being worked on, for things that take seconds."""
    return f'<p class="waiting" role="status"><i></i>{text(sentence)}</p>'


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """Cells are HTML already. A head that begins with `#` is a column of numbers. One too wide for its place is moved by the
    keyboard, too."""
    heads = tuple(heads)
    columns = [(head.lstrip("#"), ' class="number"' if head.startswith("#") else "") for head in heads]
    top = "".join(f"<th{look}>{text(head)}</th>" for head, look in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td{look} data-head="{text(head)}">{cell}</td>'
            for (head, look), cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="table {kind}" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def figures(pairs: Iterable[tuple[str, str]]) -> str:
    """A row of numbers with what they count."""
    return (
        '<dl class="figures">'
        + "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in pairs)
        + "</dl>"
    )


def count(many: int, one: str, more: str | None = None) -> str:
    """`1 row`, `1,234 rows`; in French, where 0 is singular, `0 ligne`."""
    single = many == 1 or (many == 0 and language.language() == language.FRENCH)
    return t(f"{{n}} {one if single else more or one + 's'}", n=number(many))


def duration(seconds: float) -> str:
    """`40 seconds`, `3 minutes`, `2 hours 10 minutes`: as exact as an estimate deserves."""
    if seconds < 90:
        return count(round(seconds), "second")
    minutes = round(seconds / 60)
    if minutes < 90:
        return count(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    return count(hours, "hour") + (f" {count(rest, 'minute')}" if rest else "")


def size(octets: float) -> str:
    """`812 B`, `13.6 MB`, `1.25 GB`, in powers of ten as the Hub counts."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if octets >= scale:
            return f"{number(octets / scale, '.3g')} {t(unit)}"
    return f"{octets:.0f} {t('B')}"


def plain(value: Any) -> str:
    """A setting's value as a person writes it; empty for none."""
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return t("yes") if value else t("no")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}={plain(each)}" for name, each in value.items() if each is not None)
    return ", ".join(map(plain, value)) if isinstance(value, list | tuple) else str(value)
