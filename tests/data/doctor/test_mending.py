"""What a program can repair in an example, and what it leaves alone."""

import pytest

from core.data.doctor.mending import mend
from core.data.examples import Example, Message, Source


def mended(text: str) -> tuple[str, list[str]]:
    example = Example((Message("user", "What?"), Message("assistant", text)), Source("a.jsonl", 1))
    new, remarks = mend(example)
    assert (new is example) == (not remarks)
    return new.messages[1].content, [remark.code for remark in remarks]


@pytest.mark.parametrize(
    ("damaged", "whole", "code"),
    [
        ("lâ€™Ã©tÃ© and l’été", "l’été and l’été", "mended-mojibake"),
        ("so \frac{1}{2} of \beta", r"so \frac{1}{2} of \beta", "mended-latex"),
        ("a\0b\x1b[31m", "ab[31m", "mended-invisible"),
        ("user\u202egnp", "usergnp", "mended-invisible"),
        ("The end. \n\n", "The end.", "mended-end"),
    ],
)
def test_damage_is_repaired_and_said(damaged, whole, code):
    assert mended(damaged) == (whole, [code])


@pytest.mark.parametrize("sound", ["10 000 € – « créée… »", "a\tb\n  c", "ﬁne “x”", "x²", " \n"])
def test_what_may_be_meant_is_left_alone(sound):
    assert mended(sound) == (sound, [])


def test_several_repairs_are_each_said_once():
    text, codes = mended("naÃ¯ve\0 and naÃ¯ve\0 ")
    assert (text, codes) == ("naïve and naïve", ["mended-mojibake", "mended-invisible", "mended-end"])


def test_mending_what_was_mended_changes_nothing():
    once, _ = mended("lâ€™Ã©tÃ©\0 \frac ")
    assert mended(once) == (once, [])
