"""Where one signs in with a name and a password: gradio's own page, which knows nothing of ours, in the look of the house.

Its words for the fields are gradio's, in the language of the browser.
"""

from webui import theme
from webui.language import js
from webui.render.parts import BRAND

WORDS = "The name and the password are from whoever runs this page."

STYLE = """
body { background: var(--paper) !important; color: var(--ink) !important; }
.gradio-container, .wrap.min-h-screen { background: none !important; }
.wrap > .column.panel { max-width: 400px; margin: 9vh auto 0; padding: 26px 28px 30px !important; gap: 14px; box-sizing: border-box;
  background: var(--sheet); border: 1px solid var(--rule); border-radius: 10px; min-width: 0 !important; }
.wrap > .column.panel h2 { margin: 0; font-size: 24px; font-weight: 700; letter-spacing: -.02em; color: var(--ink); }
.auth { display: contents; }
.auth .brand { order: -1; display: flex; align-items: center; gap: 9px; font-weight: 700; font-size: 18px; color: var(--ink); }
.auth .brand svg { width: 24px; height: 24px; color: var(--prussian); }
.auth .words { margin-top: -8px; color: var(--pale); line-height: 1.5; }
.creds { margin: 0 !important; padding: 8px 12px; border-left: 3px solid var(--madder); border-radius: 0 6px 6px 0;
  background: var(--madder-wash); color: var(--ink) !important; }
.column.panel .form { border: 0 !important; background: none !important; box-shadow: none !important; gap: 12px !important; overflow: visible !important; }
.column.panel .block { padding: 0 !important; border: 0 !important; background: none !important; overflow: visible !important; }
.column.panel [data-testid=block-info] { display: block; }
.column.panel [data-testid=block-info]::first-letter { text-transform: uppercase; }
.column.panel input { height: 42px; }
:focus-visible { outline: 2px solid var(--prussian) !important; outline-offset: 2px; }
@media (max-width: 480px) { .wrap > .column.panel { margin-top: 16px; padding: 20px 18px 24px !important; } }
"""


def head() -> str:
    """For the end of that page's head, after gradio has said in it what there is to show."""
    message = f"""`<span class="brand">{BRAND}</span><span class="words">${{{js(WORDS)}}}</span>`"""
    script = f"Object.assign(window.gradio_config, {{title: 'Atelier', auth_message: {message}}})"
    return f"<style>{theme.pigments()}{STYLE}</style><script>{script}; document.title = 'Atelier'</script>"
