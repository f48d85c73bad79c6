"""Whatever stands in a row, it ends in conversations that can be learned from, or in one sentence, and soon."""

import json
from contextlib import suppress
from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.doctor.checks import check
from core.data.remarks import RowError
from core.data.rows import Number, Read
from core.data.shapes import columns, oasst
from core.data.shapes.formats import FORMATS, NumberError, Reading, detect, keyed, unknown, value_of
from core.errors import DataError

OF_FORMATS = sorted({key for each in FORMATS.values() for key in (*each.required, *each.optional)})
INSIDE = (
    "role content from value human type text weight train tool_calls function_call function name arguments"
)
INSIDE += (
    " question answers qas context paragraphs is_impossible input output replies rank deleted review_result"
)
KEYS = st.sampled_from(
    [*OF_FORMATS, *INSIDE.split(), "chosen", "rejected", "label", "Prompt", " TEXT ", "id"]
)
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(
        ["", " ", "None", "True", "[]", "{}", "user", "assistant", "gpt", "tool", "function_call"]
    ),
    st.sampled_from(
        ['{"name": "f", "arguments": {}}', '[{"name": "f"}]', "[{'text': 'a', 'role': 'gpt'}]", "\ud83d"]
    ),
)
PLAIN = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(), st.floats(), st.integers().map(lambda n: Number(str(n)))
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=10,
)
SIDES = st.sampled_from(["user", "assistant", "system", "tool", "function_call", "prompter", "nobody"])
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": SIDES, "content": VALUES},
        optional={"weight": VALUES, "tool_calls": VALUES, "function_call": VALUES},
    ),
    max_size=4,
)
TREES = st.recursive(
    st.fixed_dictionaries({"text": TEXTS, "role": SIDES}, optional={"rank": PLAIN, "deleted": PLAIN}),
    lambda inner: st.fixed_dictionaries(
        {"text": TEXTS, "role": SIDES, "replies": st.lists(inner, max_size=3)}
    ),
    max_leaves=8,
)
QUESTIONS = st.lists(st.fixed_dictionaries({"question": VALUES, "answers": VALUES}), max_size=3)
INSTANCES = st.lists(st.fixed_dictionaries({"input": VALUES, "output": VALUES}), min_size=1, max_size=3)
SHAPED = st.one_of(
    st.sampled_from([each.required for each in FORMATS.values()]).flatmap(
        lambda keys: st.fixed_dictionaries(dict.fromkeys(keys, VALUES))
    ),
    st.fixed_dictionaries({"messages": MESSAGES}),
    st.fixed_dictionaries({"prompt": MESSAGES, "completion": MESSAGES}),
    st.fixed_dictionaries({"prompt": TREES}),
    TREES.map(lambda tree: tree | {"message_id": "1"}),
    st.fixed_dictionaries({"instruction": VALUES, "instances": INSTANCES}),
    st.fixed_dictionaries({"context": VALUES, "qas": QUESTIONS}),
)
ROWS = st.builds(lambda row, more: more | row, SHAPED, st.dictionaries(KEYS, VALUES, max_size=3))
READINGS = st.builds(
    lambda paths, named: (paths, named),
    st.sampled_from(["best", "every"]),
    st.one_of(
        st.just({}),
        st.dictionaries(st.sampled_from(["system", "difficulty"]), KEYS),
        st.fixed_dictionaries({"question": KEYS, "answer": KEYS}, optional={"context": KEYS, "system": KEYS}),
        st.fixed_dictionaries({"messages": KEYS}, optional={"system": KEYS}),
        st.fixed_dictionaries({"text": KEYS}, optional={"difficulty": KEYS}),
    ),
)
SOON = settings(max_examples=150, deadline=timedelta(seconds=2), suppress_health_check=[HealthCheck.too_slow])


def learned(row: dict, reading: Reading) -> None:
    """Read a row as whoever reads a file does, and hold what is promised against what came of it."""
    row = keyed(row, reading)
    with suppress(RowError):
        value_of(row, reading)
    for times in count():
        assert times < 20, "a number is asked for again and again"
        try:
            format = detect(row, reading)
            if format is None:
                raise unknown(row)
            found = list(format.conversations(row, reading))
            break
        except NumberError as number:
            assert number.key in row
            row = row | {number.key: number.literal}
    assert found
    for conversation in found:
        assert all(type(json.loads(tool)) is dict for tool in conversation.tools)
        assert all((remark.why + remark.fix).isprintable() for remark in conversation.remarks)
        messages, _ = check(conversation.messages)
        assert messages[-1].role == "assistant"
        assert any(each.trained for each in messages if each.role == "assistant")
        for message in messages:
            assert type(message.content) is str and message.content.encode() is not None
            assert all(type(json.loads(call.arguments)) is dict and call.name for call in message.calls)


@SOON
@given(row=ROWS, reading=READINGS)
def test_any_row_ends_in_conversations_or_in_one_sentence(row, reading):
    paths, named = reading
    try:
        learned(row, Reading(columns=named, paths=paths))
    except RowError as error:
        assert (error.remark.why + error.remark.fix).isprintable()
    except DataError as error:
        assert "data.columns" in str(error)


@SOON
@given(rows=st.lists(ROWS, max_size=4))
def test_a_guess_reads_its_columns_or_there_is_none(rows):
    guess = columns.guess(rows)
    if guess:
        assert (guess.remark.why + guess.remark.fix).isprintable()
        assert all(any(key in row for row in rows) for key in guess.columns.values())
        Reading(columns=guess.columns)


@SOON
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"message_id": PLAIN, "parent_id": PLAIN, "text": VALUES, "role": VALUES},
            optional={"rank": VALUES, "replies": VALUES, "message_tree_id": PLAIN},
        ),
        max_size=6,
    )
)
def test_each_message_is_in_one_tree_or_said(rows):
    found = list(oasst.trees([Read(line, row) for line, row in enumerate(rows, 1)]))
    assert len({read.line for read in found}) == len(found)

    def size(message: dict) -> int:
        return 1 + sum(map(size, message["replies"]))

    def rows_of(row: dict | None) -> int:
        whole = row and set(row) == {"prompt"}
        return size(row["prompt"]) if whole else 1

    assert sum(rows_of(read.row) for read in found) == len(rows)
