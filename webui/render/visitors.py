"""What a visitor of a Space is told above every page."""

from webui.render.parts import duration, said, text

LOOKING = "You are looking around: the demo run is here to see and to talk to. <b>Sign in</b> to train and publish in your own name."
NOTHING_IS_KEPT = (
    "This Space forgets everything when it restarts: no storage is mounted. Publish what you want to keep."
)


def signed_in(name: str, has: str, seconds: float) -> str:
    return f"<p>Signed in as <b>{text(name)}</b> for another {duration(seconds)} · {text(has)}</p>"


def not_signed_in(sentence: str | None) -> str:
    """None where there is no more to say than that one may look around."""
    return f"<p>{said(sentence) if sentence else LOOKING}</p>"


def forgetful() -> str:
    return f'<p class="caution">{text(NOTHING_IS_KEPT)}</p>'
