"""What would be published, before it is."""

import re

from core.publish.plan import PublishPlan
from webui.render.parts import count, hint, said, section, size, table, text

# core speaks to the shell, too; what is to be done there is done here in a field of the form.
ON_THE_PAGE = {
    "--to owner/name, or publish.to in the settings": "in the field Repository",
    "name one with --license, or publish.license": "choose one in the field Licence",
}


def on_the_page(sentence: str) -> str:
    """A sentence of core's in the page's own words."""
    for in_the_shell, here in ON_THE_PAGE.items():
        sentence = sentence.replace(in_the_shell, here)
    return sentence


def nothing() -> str:
    return hint("No run has been trained to its end yet. Start one on the Train page.")


def account(name: str) -> str:
    return f'<p class="hint">Publishing as <b>{text(name)}</b>.</p>'


def plan(found: PublishPlan) -> str:
    """Where to, who can see it, every file with its size, and what to think about first."""
    refusal = f'<p class="alert" role="alert">{said(found.refusal)}</p>' if found.refusal else ""
    warnings = "".join(f'<p class="caution">{text(on_the_page(warning))}</p>' for warning in found.warnings)
    checks = "".join(f"<li>{text(check)}</li>" for check in found.checks)
    rows = (
        (
            f"<code>{text(file.path)}</code>",
            ("" if file.measured else "about ") + size(file.size) if file.size else "",
        )
        for file in found.files
    )
    seen_by = "private: only you can see it, if it is new" if found.private else "public: everyone can see it"
    way = "as a draft pull request to" if found.pull_request else "to"
    return (
        section("The plan")
        + f'<p class="plan">{count(len(found.files), "file")}, about {size(found.size)}, {way} <b>{text(found.url)}</b>, '
        f"{seen_by}. One commit, all or nothing; then it is looked at again.</p>{refusal}"
        + (f'<ul class="notes">{checks}</ul>' if checks else "")
        + warnings
        + table(("File", "#Size"), rows, "files")
    )


def card(markdown: str) -> str:
    """The card for reading: its YAML head as code, its pictures (which lie in the repository) as their names."""
    head, _, body = markdown.removeprefix("---\n").partition("\n---\n")
    if not body or not markdown.startswith("---\n"):
        head, body = "", markdown
    body = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"*[picture: \1]*", body)
    return (f"```yaml\n{head}\n```\n\n" if head else "") + body
