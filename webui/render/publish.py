"""What would be published, before it is."""

import re
from collections.abc import Iterable

from core.publish.plan import NO_LICENSE, NO_REPOSITORY, PublishPlan
from webui import language
from webui.language import t
from webui.render.evaluate import nothing
from webui.render.parts import alert, count, said, section, size, table, text

__all__ = ["account", "card", "no_account", "nothing", "on_the_page", "plan"]
# core speaks to the shell, too; what is to be done there is done here in a field of the form.
ON_THE_PAGE = {
    NO_REPOSITORY: "Name the repository as owner/name in the field Repository.",
    NO_LICENSE: "It says no licence, so nobody else may use it: choose one in the field Licence.",
}


def on_the_page(sentence: str) -> str:
    """A sentence of core's in the page's own words and the reader's language, not yet escaped."""
    return t(ON_THE_PAGE[sentence]) if sentence in ON_THE_PAGE else language.said(sentence)


def account(name: str) -> str:
    return f'<p class="hint">{t("Publishing as {name}.", name=f"<b translate=no>{text(name)}</b>")}</p>'


def no_account(why: str) -> str:
    return f'<p class="hint">{said(why)}</p>'


def plan(found: PublishPlan) -> str:
    """Where to, who can see it, every file with its size, and what to think about first."""
    refusal = alert(found.refusal) if found.refusal else ""
    warnings = "".join(f'<p class="caution">{text(on_the_page(warning))}</p>' for warning in found.warnings)
    checks = "".join(f"<li>{text(language.said(check))}</li>" for check in found.checks)
    rows = (
        (
            f"<code>{text(file.path)}</code>",
            (size(file.size) if file.measured else t("about {size}", size=size(file.size)))
            if file.size
            else "",
        )
        for file in found.files
    )
    return (
        section(t("The plan"))
        + f'<p class="plan">{" ".join(_in_words(found))}</p>{refusal}'
        + (f'<ul class="notes">{checks}</ul>' if checks else "")
        + warnings
        + table((t("File"), "#" + t("Size")), rows, "files")
    )


def _in_words(found: PublishPlan) -> Iterable[str]:
    way = (
        "{files}, about {size}, as a draft pull request to {place}."
        if found.pull_request
        else "{files}, about {size}, to {place}."
    )
    place = f'<b translate="no">{text(found.url)}</b>'
    yield t(way, files=count(len(found.files), "file"), size=size(found.size), place=place)
    if found.private:
        yield t("Private: only you can see it, if it is new.")
    else:
        yield t("Public: everyone can see it.")
    yield t("One commit, all or nothing; then it is looked at again.")


def card(markdown: str) -> str:
    """The card for reading: its YAML head as code, its pictures (which lie in the repository) as their names."""
    head, _, body = markdown.removeprefix("---\n").partition("\n---\n")
    if not body or not markdown.startswith("---\n"):
        head, body = "", markdown
    body = re.sub(r"!\[([^\]]*)\]\([^)]*\)", lambda each: f"*[{t('picture: {name}', name=each[1])}]*", body)
    return (f"```yaml\n{head}\n```\n\n" if head else "") + body
