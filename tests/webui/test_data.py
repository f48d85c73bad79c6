"""The Data page is drawn from what the examination says, and whatever stands in a file stays text."""

import re

import pytest

from core.errors import DataError
from tests.webui.seen import lengths, problem, seen
from webui.intake.columns import _other_half
from webui.intake.mixture import as_weights
from webui.intake.sources import on_the_hub
from webui.render import data, keeping
from webui.render import lengths as render_lengths

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x1b[31m`x`"
TAG = re.compile(r"<(?:script|img)", re.IGNORECASE)
GUESS = problem("guessed-columns", 2, fix="Confirm it, or name other columns.")


def warned(*problems, **more):
    codes = [each["code"] for each in problems]
    counts = {"error": {}, "warning": {code: codes.count(code) for code in codes}}
    return seen(problems=list(problems), counts=counts | more)


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_what_was_read_is_said_in_figures_and_words():
    said = words(data.report(seen(rows=1234, rejected=34, dropped={"duplicate": 2})))
    assert "Rows 1,234 Used 1,200 Not used 34 Left out 2 Warnings 0 To train on 1 Held out 1" in said
    assert "The file is CSV. Each row is a question and its answer." in said


def test_a_guess_is_called_a_guess_and_can_be_confirmed():
    assert "A guess." in data.report(warned(GUESS))
    meant = {"question": "MY Q", "answer": "A"}
    assert data.guessed(warned(GUESS) | {"guessed": {"/kept/0a1b/poems.csv": meant}}) == meant
    assert data.guessed(seen()) == {}


def test_problems_are_grouped_errors_first_and_the_most_frequent_before_others():
    found = [
        problem("refusal"),
        problem("duplicate", 2),
        problem("duplicate", 3),
        problem("not-json", 4, "error"),
    ]
    counts = {"error": {"not-json": 1}, "warning": {"refusal": 1, "duplicate": 2}}
    shown = data.problems(seen(problems=found, counts=counts))
    assert re.findall(r'class="code">([a-z-]+)<', shown) == ["not-json", "duplicate", "refusal"]
    assert "poems.csv:4" in shown and "/kept" not in shown


def test_lines_beyond_the_first_are_named_when_one_asks():
    found = [problem("refusal", line, why=f"Line {line} declines.") for line in range(1, 61)]
    shown = data.problems(seen(problems=found, counts={"error": {}, "warning": {"refusal": 2000}}))
    assert "1,995 more" in shown and "Line 50 declines." in shown and "Line 51 declines." not in shown
    assert "… and 1,950 more" in shown


def test_only_what_is_said_of_examples_can_be_left_out():
    found = warned(problem("duplicate"), problem("unused-key"), GUESS) | {"droppable": ["duplicate"]}
    assert data.droppable(found, ["refusal"]) == [("duplicate (1)", "duplicate"), ("refusal", "refusal")]


def test_a_file_without_a_fault_says_so():
    assert "Every row can be used" in data.problems(seen())


def test_where_nothing_fits_one_is_asked_what_the_columns_mean():
    nothing = seen(error="Nothing can be used.", counts={"error": {"unknown-shape": 2}, "warning": {}})
    assert "Say below what the columns mean." in data.nothing(nothing)
    assert data.nothing(seen()) == ""


def test_the_report_of_nothing_usable_is_drawn_without_what_needs_examples():
    without = (
        "examples",
        "held_out",
        "shares",
        "first",
        "measured",
        "in_both",
        "leaked",
        "tokens",
        "tokens_error",
    )
    nothing = {key: value for key, value in seen(lengths=None, error="x").items() if key not in without}
    assert "To train on" not in data.report(nothing)
    assert data.examples(nothing) == data.tokens(nothing) == render_lengths.lengths(nothing) == ""


def test_what_is_measured_on_has_its_own_problems_and_says_what_measures_nothing():
    measured = warned(problem("refusal")) | {"files": ["/kept/x/test.csv"]}
    shown = data.report(seen(measured=measured, in_both=2))
    assert "To measure on: test.csv" in shown and "2 examples are trained on as well" in shown


def test_held_out_examples_that_are_trained_on_are_shown():
    shown = data.report(seen(leaked={"count": 3, "first": [problem("leaked", 9)]}))
    assert "Held out, but trained on as well" in shown and "poems.csv:9" in shown


def test_languages_are_shown_where_there_are_several():
    assert data.languages({"English": 1.0}) == ""
    shown = data.languages({"English": 0.75, "French": 0.25})
    assert "width:75.0%" in shown and "25%" in shown


def test_a_data_set_on_the_hub_keeps_its_name():
    assert data.file_name("hf:owner/name?subset=a%2Fb") == "owner/name?subset=a/b"
    assert data.file_name("sample:fables-en") == "sample:fables-en"


def test_a_long_message_is_shown_by_its_beginning():
    message = {"role": "user", "content": "a" * 5000, "trained": False, "calls": []}
    shown = data.examples(
        seen(first=[{"file": "x", "line": 1, "part": 1, "tools": [], "messages": [message]}])
    )
    assert len(shown) < 2500 and "3,800 characters more" in shown


def test_an_answer_that_is_not_learned_says_so():
    message = {
        "role": "assistant",
        "content": "No.",
        "trained": False,
        "calls": [{"name": "f", "arguments": "{}"}],
    }
    shown = data.examples(
        seen(first=[{"file": "x", "line": 1, "part": 1, "tools": [], "messages": [message]}])
    )
    assert "(not learned)" in shown and "f({})" in shown


class TestLengths:
    def test_a_maximum_among_the_lengths_is_a_line_and_longer_examples_stand_out(self):
        shown = render_lengths.histogram([[0, 10, 1], [10, 20, 2], [20, 30, 3]], 20)
        assert shown.count('class="fits"') == 2 and shown.count('class="long"') == 1
        assert 'class="limit"' in shown and "maximum 20" in shown

    def test_a_maximum_far_beyond_them_is_said_to_be_there(self):
        shown = render_lengths.histogram([[0, 10, 1]], 4096)
        assert "beyond" in shown and "maximum 4,096 →" in shown and '<path class="limit"' not in shown

    def test_bars_stay_in_their_frame(self):
        shown = render_lengths.histogram([[0, 7, 100_000], [7, 14, 1]], 13)
        for x, width, y, height in re.findall(
            r'x="([\d.]+)" width="([\d.]+)" y="([\d.]+)" height="([\d.]+)"', shown
        ):
            assert float(x) >= 0 and float(x) + float(width) <= 1000.1 and float(y) >= 0
            assert float(y) + float(height) == pytest.approx(1000)

    def test_quantiles_are_a_sentence_and_losses_are_cautions(self):
        shown = render_lengths.lengths(seen(lengths=lengths(cut_rows=2, cut_tokens=30, skipped=1)))
        assert "half of them have at most 21, 90 % at most 25" in shown
        assert "2 examples are cut (30 tokens are lost)." in shown and "1 example is left out." in shown

    def test_the_maximum_that_is_set_stands_out_in_the_table(self):
        assert "<b>32</b>" in render_lengths.costs(seen(lengths=lengths(max_length=32)))

    def test_why_no_tokens_were_counted_is_said(self):
        assert "No tokenizer." in render_lengths.lengths(seen(lengths=None, tokens_error="No tokenizer."))


class TestHostileTextStaysText:
    def test_everywhere_on_the_page(self):
        bad = problem("refusal", why=HOSTILE, fix=HOSTILE) | {"file": HOSTILE}
        message = {
            "role": "user",
            "content": HOSTILE,
            "trained": False,
            "calls": [{"name": HOSTILE, "arguments": HOSTILE}],
        }
        hostile = seen(
            files=[HOSTILE], kinds={HOSTILE: HOSTILE}, shapes={HOSTILE: 1, "b": 1}, columns={HOSTILE: [HOSTILE]},
            sample=[{HOSTILE: HOSTILE}], languages={HOSTILE: 0.5, "b": 0.5}, problems=[bad, bad | {"why": "other"}],
            counts={"error": {}, "warning": {"refusal": 2}}, leaked={"count": 1, "first": [bad]}, measured=seen(files=[HOSTILE]),
            first=[{"file": HOSTILE, "line": 1, "part": 1, "tools": [], "messages": [message]}], template=HOSTILE,
            encoding_problems=[bad], encoding_counts={"error": {}, "warning": {"refusal": 1}}, stops=[{"ok": False, "text": HOSTILE}], lengths=lengths(base=HOSTILE), error=HOSTILE,
            tokens=[{"source": f"{HOSTILE}:1", "split": "train", "tokens": [{"text": HOSTILE, "id": 1, "state": "trained"}]}],
        )  # fmt: skip
        shown = "".join(
            draw(hostile)
            for draw in (
                data.report, data.problems, data.sample, data.examples, data.tokens, data.nothing, render_lengths.lengths,
                render_lengths.costs,
            )
        )  # fmt: skip
        shown += render_lengths.lengths(seen(lengths=None, tokens_error=HOSTILE))
        shown += keeping.saved(HOSTILE, {"kept": 1, "dropped": {HOSTILE: 1}, "mended": {HOSTILE: 1}})
        assert not TAG.search(shown) and "&lt;script&gt;" in shown


@pytest.mark.parametrize(
    "given, name",
    [
        (("owner/name", "", "", ""), "hf:owner/name"),
        (("hf:owner/name?split=test", "", "", ""), "hf:owner/name?split=test"),
        ((" https://huggingface.co/datasets/owner/name/ ", "fr", "test", "v1.0"), "hf:owner/name?subset=fr&split=test&revision=v1.0"),
        (("owner/name", "a b&c=/é", "", ""), "hf:owner/name?subset=a+b%26c%3D%2F%C3%A9"),
    ],
)  # fmt: skip
def test_a_data_set_on_the_hub_becomes_one_name(given, name):
    assert on_the_hub(*given) == name


@pytest.mark.parametrize(
    "repo", ["", "name", "/etc/passwd", "../../x", "a/b/c", "a/..", "~/x", "a b/c", "owner/name?path=x"]
)
def test_what_names_no_data_set_on_the_hub_is_refused(repo):
    with pytest.raises(DataError, match="write owner/name"):
        on_the_hub(repo, "", "", "")


def test_a_file_without_a_weight_beside_weighed_ones_weighs_one():
    assert as_weights((None, 2)) == [1.0, 2.0] and as_weights((None, None)) == []


def test_half_of_a_pair_of_columns_waits_for_the_other_half():
    assert _other_half({"question": "Q"}) == "answer" and _other_half({"answer": "A"}) == "question"
    assert (
        _other_half({}) == _other_half({"question": "Q", "answer": "A"}) == _other_half({"text": "T"}) == ""
    )
