"""How the page looks: a painter's pigments on paper, in light and dark. Layout is in style.css."""

from pathlib import Path

from gradio.themes.base import Base
from gradio.themes.utils import colors, sizes

STYLE = Path(__file__).with_name("style.css")

PRUSSIAN = colors.Color(
    name="prussian",
    c50="#eef4f8",
    c100="#dce8f0",
    c200="#bcd3e2",
    c300="#90b8d0",
    c400="#5f97b8",
    c500="#2f7399",
    c600="#1f5d81",
    c700="#194c6a",
    c800="#153f58",
    c900="#123447",
    c950="#0b222f",
)
SLATE = colors.Color(
    name="slate",
    c50="#f6f7f6",
    c100="#eceeed",
    c200="#dde1df",
    c300="#c3c9c7",
    c400="#8b9698",
    c500="#667276",
    c600="#535f64",
    c700="#38444a",
    c800="#232c31",
    c900="#1a2226",
    c950="#12181b",
)

# What is drawn, not only framed: curves, marks, verdicts. The same names are used in style.css.
INK = {
    "paper": ("#f6f7f6", "#12181b"),
    "sheet": ("#ffffff", "#1a2226"),
    "ink": ("#1a2226", "#e6eae8"),
    "pale": ("#535f64", "#a3afb2"),
    "rule": ("#dde1df", "#323d42"),
    "edge": ("#8b9698", "#667276"),
    "prussian": ("#1f5d81", "#8fc1de"),
    "prussian-wash": ("#e3edf4", "#1d3a4b"),
    "ochre": ("#935a00", "#e3ad52"),
    "ochre-wash": ("#f8eedb", "#40331b"),
    "viridian": ("#1b6b50", "#74c9a6"),
    "viridian-wash": ("#e0f0e9", "#1b3b31"),
    "madder": ("#a02c3c", "#f0939d"),
    "madder-wash": ("#f9e6e7", "#452429"),
}

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "Liberation Mono", "DejaVu Sans Mono", "monospace")


def theme() -> Base:
    """Only the system's own fonts: nothing is fetched from anywhere."""
    made = Base(
        primary_hue=PRUSSIAN,
        secondary_hue=PRUSSIAN,
        neutral_hue=SLATE,
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
        font=FONT,
        font_mono=MONO,
    )
    same = {
        "body_background_fill": "var(--paper)",
        "body_text_color": "var(--ink)",
        "body_text_color_subdued": "var(--pale)",
        "background_fill_primary": "var(--sheet)",
        "background_fill_secondary": "var(--paper)",
        "block_background_fill": "var(--sheet)",
        "block_border_color": "var(--rule)",
        "block_border_width": "1px",
        "block_shadow": "none",
        "block_label_background_fill": "var(--sheet)",
        "block_label_text_color": "var(--pale)",
        "block_title_text_color": "var(--ink)",
        "block_info_text_color": "var(--pale)",
        "border_color_primary": "var(--rule)",
        "border_color_accent": "var(--prussian)",
        "input_background_fill": "var(--paper)",
        "input_background_fill_focus": "var(--sheet)",
        "input_border_color": "var(--edge)",
        "input_border_color_focus": "var(--prussian)",
        "input_border_width": "1px",
        "input_placeholder_color": "var(--pale)",
        "link_text_color": "var(--prussian)",
        "link_text_color_hover": "var(--prussian)",
        "link_text_color_visited": "var(--prussian)",
        "link_text_color_active": "var(--prussian)",
        "button_primary_text_color": "white",
        "button_primary_border_color": "transparent",
        "button_secondary_background_fill": "var(--sheet)",
        "button_secondary_background_fill_hover": "var(--prussian-wash)",
        "button_secondary_border_color": "var(--edge)",
        "button_secondary_text_color": "var(--ink)",
        "button_border_width": "1px",
        "checkbox_background_color": "var(--sheet)",
        "checkbox_border_color": "var(--edge)",
        "checkbox_label_background_fill": "var(--sheet)",
        "checkbox_label_background_fill_hover": "var(--prussian-wash)",
        "checkbox_label_background_fill_selected": "var(--prussian-wash)",
        "checkbox_label_border_color": "var(--rule)",
        "checkbox_label_border_color_hover": "var(--prussian)",
        "checkbox_label_border_color_selected": "var(--prussian)",
        "checkbox_label_border_width": "1px",
        "checkbox_label_text_color": "var(--ink)",
        "checkbox_label_text_color_selected": "var(--ink)",
        "color_accent_soft": "var(--prussian-wash)",
        "table_text_color": "var(--ink)",
        "slider_color": "var(--prussian)",
    }
    return made.set(
        **same,
        **{
            f"{name}_dark": value for name, value in same.items()
        },  # the variables know the light they are seen in
        block_title_text_weight="600",
        button_large_text_weight="600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_600",
        checkbox_background_color_selected="*primary_600",
        checkbox_background_color_selected_dark="*primary_500",
        checkbox_border_color_selected="*primary_600",
        checkbox_border_color_selected_dark="*primary_500",
    )


def css() -> str:
    """style.css, with the pigments as its variables."""
    return f"{pigments()}{STYLE.read_text('utf-8')}"


def pigments() -> str:
    """As variables of CSS, in both lights."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in INK.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in INK.items())
    return f":root{{{light}}}\n:root.dark,:root .dark{{{dark}}}\n"


# A palette with three pigments, as the tab's icon; inline, so that it costs no request.
ICON = (
    '<link rel="icon" href="data:image/svg+xml,'
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='7' fill='%231f5d81'/%3E"
    "%3Cpath d='M6 22C11 22 12 9 16 9s5 13 10 13' fill='none' stroke='white' stroke-width='3' "
    "stroke-linecap='round'/%3E%3C/svg%3E\">"
)

# Screen readers speak the language that the page is shown in, as language.py chooses it.
LANGUAGE = (
    "<script>document.documentElement.lang = navigator.language.startsWith('fr') ? 'fr' : 'en'</script>"
)
HEAD = ICON + LANGUAGE
