"""The colours can be read, in both lights."""

import re

import pytest

from webui import theme


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("light", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    "ink, ground",
    [
        *(
            (ink, ground)
            for ink in ("ink", "pale", "prussian")
            for ground in ("paper", "sheet", "prussian-wash")
        ),
        *((ink, f"{ink}-wash") for ink in ("ochre", "viridian", "madder")),
        *(("ink", f"{ground}-wash") for ground in ("ochre", "madder")),
    ],
)
def test_words_stand_out_from_their_ground(ink, ground, light):
    assert contrast(theme.INK[ink][light], theme.INK[ground][light]) >= 4.5


@pytest.mark.parametrize("button", [theme.PRUSSIAN.c600, theme.PRUSSIAN.c500])
def test_white_words_stand_out_from_a_button(button):
    assert contrast("#ffffff", button) >= 4.5


def test_the_style_uses_no_pigment_that_there_is_not():
    style = theme.STYLE.read_text()
    used = set(re.findall(r"var\(--([a-z-]+)\)", style))
    named = set(re.findall(r"--([a-z-]+):", style + theme.theme()._get_theme_css()))
    assert not used - named - set(theme.INK)


def test_nothing_is_fetched_for_the_look():
    assert "http" not in theme.css() and "@import" not in theme.css()
