"""A conversation with two models, turn by turn, and what is in memory for it."""

from core.talk import Loaded
from webui.language import number, t
from webui.render.parts import address, count, hint, size, text, waiting
from webui.talks import Said, State, Turn
from webui.turns import FILE

# How an answer ended, in words.
ENDED = {
    "turn": "ended its turn",
    "length": "cut off at the longest answer",
    "context": "cut off, since the context is full",
    "stopped": "stopped by you",
    "broken": "broken off by an error",
}


def conversation(turns: list[Turn], run: str) -> str:
    """Each question over its answers; on a narrow page the answers stand below one another."""
    return "".join(parts(turns, run))


def parts(turns: list[Turn], run: str | None) -> list[str]:
    """The same in pieces, a turn in each, of which a page sends only those that changed."""
    if not turns:
        said = t(
            "Nothing said yet. Ask something that your examples answer, then something that they do not."
        )
        return [f'<div class="nothing">{hint(said)}</div>']
    return [_turn(at, turn, run or "", at == len(turns) - 1) for at, turn in enumerate(turns)]


def memory(
    chosen: str | None, open_run: str | None, state: State, loaded: Loaded | None, served: str | None = None
) -> str:
    """Which models are loaded, what loading others would do, and where programs find the same ones."""
    if not chosen:
        return hint(t("No run has been trained to its end yet. Start one on the Train page."))
    if state == "closed":
        return hint(t("Not loaded yet; the first question loads both models."))
    if state == "loading":
        return waiting(t("Loading {run} …", run=open_run))
    if open_run != chosen:
        said = t(
            "{open} is loaded. One run is loaded at a time: the first question to {chosen} unloads it.",
            open=open_run,
            chosen=chosen,
        )
        return hint(said)
    one = t("from one copy of the weights") if loaded.shared else t("two copies of the weights")
    said = t(
        "Loaded: {tuned} and its base {base}, {copies}, {size}.",
        tuned=loaded.tuned,
        base=loaded.base,
        copies=one,
        size=size(loaded.memory_bytes),
    )
    shared = t("Programs ask the same process at {url}.", url=served) if served else ""
    return hint(f"{said} {shared}".strip())


def sets(names: list[str], own: str) -> str:
    """The data sets that corrections can go to, for the page to take into its forms; `own` comes first, and may be new."""
    offered = [own, *(name for name in names if name != own)]
    options = "".join(f"<option>{text(name)}</option>" for name in offered)
    return f'<select aria-label="{t("Data set for corrections")}">{options}</select>'


def opened(name: str, conversations: int) -> str:
    """What was opened, where it is not all that is in the file."""
    if conversations < 2:
        return ""
    return hint(
        t("{file} holds {many}; this is the first.", file=name, many=count(conversations, "conversation"))
    )


def about_files() -> str:
    said = t(
        "Download what one side has heard and answered, as a line of JSON; open such a file, and the conversation goes on from it."
    )
    return hint(said)


def added(name: str, rows: int) -> str:
    said = t("Added to {name}, which has {rows} now.", name=f"<b>{text(name)}</b>", rows=count(rows, "row"))
    link = f'<a href="{address("")}">{t("Learn from it on the Data page")}</a>'
    return f'<p class="done" role="status">{said} {link}</p>'


def _turn(at: int, turn: Turn, run: str, is_last: bool) -> str:
    order = [side for side in ("tuned", "base", FILE) if side in turn.answers]
    grows = any(not turn.answers[side].is_over for side in order)
    answers = "".join(_said(at, side, turn.answers[side], run) for side in order)
    again = f'<button type="button" data-act="again" data-turn="{at}">{t("Answer again")}</button>'
    seed = f"<small>{t('Seed {n}', n=turn.seed)}</small>" if turn.seed is not None else ""
    alone = (
        f"<small>{t('Answered by itself, without what was said before')}</small>" if at and turn.alone else ""
    )
    foot = f'<div class="foot">{seed}{alone}{again if is_last and not grows else ""}</div>'
    return (
        f'<article class="{"turn growing" if grows else "turn"}" data-turn="{at}"><div class="asked">'
        f'<p class="question" dir="auto">{text(turn.question)}</p>'
        f'<button type="button" data-act="edit" data-turn="{at}">{t("Edit")}</button></div>'
        f'<div class="answers">{answers}</div>{foot}</article>'
    )


def _said(at: int, side: str, said: Said, run: str) -> str:
    body = '<span class="dots">…</span>' if said.ended == "waiting" else text(said.text)
    button = f'<button type="button" data-act="correct" data-turn="{at}" data-side="{side}">{t("Correct")}</button>'
    return (
        f'<section class="{side}"><h2>{_who(side, run)}</h2><p dir="auto">{body}</p>'
        f'<div class="foot"><small>{_how(said)}</small>{button if said.is_over else ""}</div></section>'
    )


def _who(side: str, run: str) -> str:
    if side == FILE:
        return t("From the file")
    return f"{t('Tuned')} · {text(run)}" if side == "tuned" else t("Base")


def _how(said: Said) -> str:
    """Speed, and why the answer ended."""
    if said.ended == "waiting":
        return t("waiting for its turn")
    if said.corrected:
        return t("corrected by you, in {name}", name=text(said.corrected))
    if said.ended == FILE:
        return t("not answered here")
    parts = [count(said.tokens, "token")]
    if said.seconds > 0 and said.tokens:
        parts.append(t("{n} tokens per second", n=number(said.tokens / said.seconds, ",.0f")))
    parts.append(t(ENDED.get(said.ended, "still writing")))
    return ", ".join(parts)
