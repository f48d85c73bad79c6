"""Examples to tokens: all are accounted for, what is trained ends as it should, and one can look at it."""

import json
from dataclasses import asdict

import pytest
from transformers import PreTrainedTokenizerFast

from core.data.examples import Example, Message, Source
from core.errors import TextError
from core.spec import TemplateSettings
from core.text.encode import NOT_TRAINED, Encoded, Encoding, as_labels, encode, show, will_it_stop
from core.text.templates import Template, Written, add_chat_tokens, template_for
from core.text.tokens import BATCH
from tests.text.conftest import KINDS
from tests.text.test_templates import gluing
from tests.text.texts import ODD, PROSE


def example(*contents: str, line: int = 1) -> Example:
    roles = ("user", "assistant") * len(contents)
    turns = (Message(role, content) for role, content in zip(roles, contents, strict=False))
    return Example(tuple(turns), Source("here.jsonl", line))


@pytest.fixture(params=KINDS)
def tokenizer(make_tokenizer, request) -> PreTrainedTokenizerFast:
    tokenizer = make_tokenizer(request.param)
    add_chat_tokens(tokenizer)
    return tokenizer


@pytest.fixture
def template(tokenizer) -> Template:
    return template_for(TemplateSettings(), tokenizer)


@pytest.fixture
def gpt(make_tokenizer) -> tuple[PreTrainedTokenizerFast, Template]:
    tokenizer = make_tokenizer("gpt2-like")
    add_chat_tokens(tokenizer)
    return tokenizer, template_for(TemplateSettings(), tokenizer)


def test_rows_come_in_order_with_their_sources_over_many_batches(gpt):
    examples = [
        example(f"Question {line}?", f"Answer {line}.", line=line) for line in range(1, 2 * BATCH + 7)
    ]
    encoding = encode(examples, *gpt, 100)
    assert [row.source.line for row in encoding.rows] == list(range(1, 2 * BATCH + 7))
    one_by_one = [encode([each], *gpt, 100).rows[0] for each in examples[:: BATCH - 1]]
    assert [encoding.rows[place] for place in range(0, len(examples), BATCH - 1)] == one_by_one


def test_the_counts_are_those_of_the_rows(gpt):
    encoding = encode([example("a", "b"), example(*PROSE[:4])], *gpt, 1000)
    assert encoding.tokens == sum(len(row.ids) for row in encoding.rows)
    assert encoding.trained_tokens == sum(
        label != NOT_TRAINED for row in encoding.rows for label in as_labels(row)
    )
    assert encoding.longest == len(encoding.rows[1].ids) > len(encoding.rows[0].ids)
    assert (encoding.cut_rows, encoding.cut_tokens, encoding.skipped, encoding.problems) == (0, 0, 0, ())


def test_nothing_to_encode_is_an_empty_encoding(gpt):
    encoding = encode([], *gpt, 100)
    assert (len(encoding.rows), encoding.tokens, encoding.longest) == (0, 0, 0)


def test_labels_are_the_ids_of_what_is_trained():
    row = Encoded([5, 6, 7, 8], [False, True, True, False], Source("x", 1))
    assert as_labels(row) == [NOT_TRAINED, 6, 7, NOT_TRAINED]


def test_padding_that_is_the_end_of_sequence_hides_no_ending(gpt):
    tokenizer, template = gpt
    tokenizer.pad_token = tokenizer.eos_token
    labels = as_labels(encode([example("a", "b")], tokenizer, template, 100).rows[0])
    assert [label for label in labels if label != NOT_TRAINED][-2:] == list(template.stop_ids(tokenizer))


def test_settings_left_over_from_another_call_neither_pad_nor_cut(tokenizer, template):
    wanted = list(encode([example(*PROSE[:2])], tokenizer, template, 1000).rows)
    for length in (4, 500):
        tokenizer([PROSE[0], "a"], padding="max_length", truncation=True, max_length=length)
        assert list(encode([example(*PROSE[:2])], tokenizer, template, 1000).rows) == wanted


# Longer than fits


def test_an_example_that_just_fits_is_whole(tokenizer, template):
    (whole,) = encode([example(*PROSE[:2])], tokenizer, template, 10_000).rows
    assert list(encode([example(*PROSE[:2])], tokenizer, template, len(whole.ids)).rows) == [whole]


def test_a_longer_example_loses_its_end_and_its_stop_tokens_and_is_reported(tokenizer, template):
    (whole,) = encode([example(*PROSE[:2])], tokenizer, template, 10_000).rows
    for cut in (1, 3, 5):
        length = len(whole.ids) - cut
        encoding = encode([example(*PROSE[:2])], tokenizer, template, length)
        (row,) = encoding.rows
        assert row.ids == whole.ids[:length] and row.trained == whole.trained[:length] and row.cut == cut
        assert (encoding.cut_rows, encoding.cut_tokens, encoding.longest) == (1, cut, length)
        assert [(problem.code, problem.severity) for problem in encoding.problems] == [("cut", "warning")]
        assert f"Raise train.max_length to {len(whole.ids)}" in encoding.problems[0].fix
    assert template.stop_ids(tokenizer)[0] not in as_labels(row)


def test_an_example_whose_answer_is_cut_off_entirely_is_left_out_and_reported(tokenizer, template):
    (whole,) = encode([example(*PROSE[:2])], tokenizer, template, 10_000).rows
    begins = whole.trained.index(True)
    assert len(encode([example(*PROSE[:2])], tokenizer, template, begins + 1).rows) == 1
    encoding = encode([example(*PROSE[:2], line=7)], tokenizer, template, begins)
    assert not encoding.rows and encoding.skipped == 1
    (problem,) = encoding.problems
    assert (problem.code, problem.severity) == ("answer-cut", "error")
    assert problem.source == Source("here.jsonl", 7)
    assert f"begins at token {begins + 1}" in problem.why


def test_longer_examples_are_left_out_if_asked(tokenizer, template):
    encoding = encode(
        [example("a", "b"), example(*PROSE[:2], line=2)], tokenizer, template, 40, overlong="skip"
    )
    assert [row.source.line for row in encoding.rows] == [1]
    assert encoding.skipped == 1
    assert [(each.code, each.severity, each.source.line) for each in encoding.problems] == [
        ("too-long", "error", 2)
    ]


def test_every_example_is_a_row_or_is_skipped_with_an_error():
    tokenizer = gluing("z")
    template = template_for(TemplateSettings(), tokenizer)
    examples = [
        example("a", answer * times, line=line)
        for line, (answer, times) in enumerate([("a", 1), ("z", 1), ("b", 90)])
    ]
    examples.append(example("a" * 90, "b", line=3))
    encoding = encode(examples, tokenizer, template, 60)
    assert [row.source.line for row in encoding.rows] == [0, 2]
    errors = [problem.source.line for problem in encoding.problems if problem.severity == "error"]
    assert errors == [1, 3] and encoding.skipped == 2


# Looking at it


CONVERSATIONS = [
    [PROSE[0], PROSE[1]],
    ["  a\n\n b\t", "🙂 👩‍💻 日本 e\u0301 ﬁn"],
    *([PROSE[number], PROSE[number + 1], "?", PROSE[number + 2]] for number in range(0, 18, 3)),
    *(["x" + text + "y", "z" + text + "w"] for text in ODD),
]


def test_shown_texts_joined_are_the_text_that_was_encoded(tokenizer, template):
    for contents in CONVERSATIONS:
        shown = show(example(*contents), tokenizer, template, 10_000)
        assert "".join(token.text for token in shown) == template.write(example(*contents).messages).text


def test_shown_tokens_are_the_rows_and_say_what_becomes_of_each(tokenizer, template):
    for contents in CONVERSATIONS[:8]:
        (whole,) = encode([example(*contents)], tokenizer, template, 10_000).rows
        length = len(whole.ids) - 4
        (row,) = encode([example(*contents)], tokenizer, template, length).rows
        shown = show(example(*contents), tokenizer, template, length)
        assert [token.id for token in shown] == whole.ids
        assert [token.state for token in shown[length:]] == ["cut"] * 4
        assert [token.state == "trained" for token in shown[:length]] == row.trained
        assert json.loads(json.dumps([asdict(token) for token in shown]))


def test_a_token_shows_its_own_words(gpt):
    shown = show(example("Who?", "The 🙂."), *gpt, 100)
    trained = [token.text for token in shown if token.state == "trained"]
    assert "".join(trained) == "The 🙂.<|im_end|><|endoftext|>"
    assert [token.text for token in shown[:2]] == ["<|im_start|>", "user"] or shown[0].text == "<|im_start|>"


def test_an_example_that_cannot_be_encoded_is_not_shown_as_if_it_could():
    tokenizer = gluing("z")
    with pytest.raises(TextError, match="here.jsonl:1: .*joins the first letters"):
        show(example("a", "z"), tokenizer, template_for(TemplateSettings(), tokenizer), 100)


# Will it stop?


def claims(
    encoding: Encoding, tokenizer: PreTrainedTokenizerFast, template: Template, stops: tuple[int, ...]
) -> list[bool]:
    checks = will_it_stop(encoding, template, tokenizer, stops)
    assert all(check.text.endswith(".") for check in checks)
    return [check.ok for check in checks]


def test_rows_as_encoded_stop(tokenizer, template):
    encoding = encode([example("a", "b"), example(*PROSE[:6])], tokenizer, template, 10_000)
    assert claims(encoding, tokenizer, template, template.stop_ids(tokenizer)) == [True, True, True]


def test_one_answer_whose_ending_is_not_trained_is_found_among_those_of_a_row(gpt, monkeypatch):
    tokenizer, template = gpt
    written = type(template).write

    def forgetful(template: Template, messages, tools=()) -> Written:
        whole = written(template, messages, tools)
        if messages[1].content != "4":
            return whole
        parts = list(whole.parts)
        first_end = next(at for at, part in enumerate(parts) if part.special and part.trained)
        del parts[first_end + 1]  # the end of sequence after the first of two answers
        return whole._replace(parts=tuple(parts))

    monkeypatch.setattr(type(template), "write", forgetful)
    encoding = encode([example("a", str(number), "c", "d") for number in range(9)], tokenizer, template, 100)
    checks = will_it_stop(encoding, template, tokenizer, template.stop_ids(tokenizer))
    assert [check.ok for check in checks] == [False, True, True]
    assert checks[0].text.startswith("1 of 9 whole examples are not trained to end")


def test_a_generation_that_does_not_look_for_the_end_of_the_turn_is_found(gpt):
    tokenizer, template = gpt
    encoding = encode([example("a", "b")], tokenizer, template, 100)
    assert claims(encoding, tokenizer, template, (tokenizer.eos_token_id,)) == [True, False, True]


def test_padding_that_ends_answers_is_found(gpt):
    tokenizer, template = gpt
    encoding = encode([example("a", "b")], tokenizer, template, 100)
    tokenizer.pad_token = "<|im_end|>"
    assert claims(encoding, tokenizer, template, template.stop_ids(tokenizer)) == [True, True, False]


def test_rows_that_were_cut_are_counted_and_not_held_against_the_whole_ones(gpt):
    tokenizer, template = gpt
    encoding = encode([example("a", "b"), example("a", PROSE[0])], tokenizer, template, 30)
    checks = will_it_stop(encoding, template, tokenizer, template.stop_ids(tokenizer))
    assert [check.ok for check in checks] == [True, True, True, False]
    assert checks[-1].text == "1 of 2 examples were cut: their ending is not learnt."
