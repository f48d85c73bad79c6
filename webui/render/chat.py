"""A conversation with two models, turn by turn, and what is in memory for it."""

from core.talk import Loaded
from webui.render.evaluate import ENDED
from webui.render.parts import count, hint, size, text, waiting
from webui.talks import Said, State, Turn

TITLES = {"tuned": "Tuned", "base": "Base"}


def conversation(turns: list[Turn], run: str) -> str:
    """Each question over its answers; on a narrow page the answers stand below one another."""
    if not turns:
        return f'<div class="talk empty">{hint("Nothing said yet. Ask something that your examples answer, then something that they do not.")}</div>'
    return f'<div class="talk" aria-live="polite">{"".join(_turn(turn, run) for turn in turns)}</div>'


def memory(
    chosen: str | None, open_run: str | None, state: State, loaded: Loaded | None, served: str | None = None
) -> str:
    """Which models are loaded, what loading others would do, and where programs find the same ones."""
    if not chosen:
        return hint("No run has been trained to its end yet. Start one on the Train page.")
    if state == "closed":
        return hint("Not loaded yet; the first question loads both models.")
    if state == "loading":
        return waiting(f"Loading {open_run} …")
    if open_run != chosen:
        return hint(
            f"{open_run} is loaded. One run is loaded at a time: the first question to {chosen} unloads it."
        )
    one = "from one copy of the weights" if loaded.shared else "two copies of the weights"
    shared = f" Programs ask the same process at {served}." if served else ""
    return hint(
        f"Loaded: {loaded.tuned} and its base {loaded.base}, {one}, {size(loaded.memory_bytes)}.{shared}"
    )


def _turn(turn: Turn, run: str) -> str:
    order = [side for side in ("base", "tuned") if side in turn.answers]
    said = "".join(_said(side, turn.answers[side], run) for side in order)
    return f'<article class="turn"><p class="question">{text(turn.question)}</p><div class="answers">{said}</div></article>'


def _said(side: str, said: Said, run: str) -> str:
    who = f"{TITLES[side]}{f' · {run}' if side == 'tuned' else ''}"
    body = '<span class="dots">…</span>' if said.ended == "waiting" else text(said.text)
    return f'<section class="{side}"><h3>{text(who)}</h3><p>{body}</p><small>{_how(said)}</small></section>'


def _how(said: Said) -> str:
    """Speed, and why the answer ended."""
    if said.ended == "waiting":
        return "waiting for its turn"
    speed = (
        f", {said.tokens / said.seconds:.0f} tokens per second" if said.seconds > 0 and said.tokens else ""
    )
    return f"{count(said.tokens, 'token')}{speed}, {ENDED.get(said.ended, 'still writing')}"
