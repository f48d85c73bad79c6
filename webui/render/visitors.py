"""What a visitor of a Space is told above every page."""

from webui.language import t
from webui.render.parts import duration, said, text

LOOKING = "You are looking around: the demo run is here to see and to talk to. {sign_in} to train and publish in your own name."
NOTHING_IS_KEPT = (
    "This Space forgets everything when it restarts: no storage is mounted. Publish what you want to keep."
)


def signed_in(name: str, has: str, seconds: float) -> str:
    words = t("Signed in as {name} for another {time}", name=f"<b>{text(name)}</b>", time=duration(seconds))
    return f"<p>{words} · {text(has)}</p>"


def signed_in_by_password(name: str | None) -> str:
    """Signing out forgets what this browser had chosen: whoever comes next has other files."""
    words = t("Signed in as {name}", name=f"<b>{text(name)}</b>")
    return f'<p>{words} · <a href="./logout" onclick="localStorage.clear()">{t("Sign out")}</a></p>'


def not_signed_in(sentence: str | None) -> str:
    """None where there is no more to say than that one may look around."""
    looking = t(LOOKING, sign_in=f"<b>{t('Sign in')}</b>")
    return f"<p>{said(sentence) if sentence else looking}</p>"


def forgetful() -> str:
    return f'<p class="caution">{t(NOTHING_IS_KEPT)}</p>'
