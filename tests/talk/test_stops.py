import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.talk.stops import Until


def before(pieces, stops):
    until = Until(stops)
    return "".join([*(until.add(piece) for piece in pieces), until.rest()]), until.found


@pytest.mark.parametrize(
    "text, stops, told, found",
    [
        ("one two three", ["two"], "one ", True),
        ("one two three", ["four"], "one two three", False),
        ("one two three", ["three", "two"], "one ", True),
        ("abcd", ["abcd", "bc"], "a", True),  # complete first
        ("aab", ["ab"], "a", True),
        ("the end is n", ["near"], "the end is n", False),
        ("text", [], "text", False),
    ],
)
def test_what_is_told_ends_before_the_stop_that_is_complete_first(text, stops, told, found):
    assert before([text], stops) == before(text, stops) == (told, found)


@given(st.lists(st.text("ab", max_size=3)), st.lists(st.text("ab", min_size=1, max_size=4), max_size=4))
def test_how_a_text_is_cut_into_pieces_changes_nothing(pieces, stops):
    assert before(pieces, stops) == before(["".join(pieces)], stops)


def test_only_what_may_begin_a_stop_is_held_back():
    until = Until(["\n\nUser:"])
    assert [until.add(piece) for piece in ["Hello\n", "there", "\n\nUs", "ers", "\n"]] == [
        "Hello", "\nthere", "", "\n\nUsers", "",
    ]  # fmt: skip
    assert until.rest() == "\n"
