"""Any bytes whatever end in a report that adds up, or in one sentence."""

import json
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data import NoExamplesError, read
from core.data.report import as_dict, summary
from core.data.shapes.formats import FORMATS

KEYS = sorted({key for format in FORMATS.values() for key in (*format.required, *format.optional)})
SOME_KEYS = st.sampled_from(
    [*KEYS, "role", "content", "from", "value", "human", "weight", "type", "Prompt", "id"]
)
TEXTS = st.one_of(
    st.text(), st.sampled_from(["", " ", "user", "assistant", "gpt", "system", "tool", "<|im_end|>", "text"])
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(SOME_KEYS, inner, max_size=4)),
    max_leaves=8,
)
ROWS = st.one_of(
    st.dictionaries(SOME_KEYS, VALUES, max_size=5),
    st.fixed_dictionaries({"prompt": TEXTS, "response": TEXTS}),
    st.fixed_dictionaries(
        {"messages": st.lists(st.fixed_dictionaries({"role": TEXTS, "content": VALUES}), max_size=4)}
    ),
)
CODECS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252", "shift-jis"])
ENDS = st.sampled_from(["\n", "\r\n", "\n\n", ",\n", "", "\r", "\n[", "\ufeff", "\x00"])


@st.composite
def almost_json_lines(draw) -> bytes:
    """Rows that were written well, and then went through some hands."""
    lines = []
    for row in draw(st.lists(ROWS, max_size=6)):
        written = draw(
            st.sampled_from([json.dumps, repr, lambda row: json.dumps(row, ensure_ascii=False, indent=1)])
        )
        lines.append(written(row) + draw(ENDS))
    content = "".join(lines).encode(draw(CODECS), "replace")
    if draw(st.booleans()):
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at + draw(st.integers(0, 3)) :]
    return content


def adds_up(path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        report = read([path])
        assert report.kept
    except NoExamplesError as error:
        report = error.report
        assert str(error).isprintable()
    assert report.rejected == len(report.errors)
    assert report.rows - report.rejected <= report.kept  # a row may hold several conversations
    assert sum(report.shapes.values()) <= report.rows
    for example in report.examples:
        assert example.messages[-1].role == "assistant"
        assert all(type(message.content) is str and message.content.encode() for message in example.messages)
    for problem in report.problems:
        assert (problem.why + problem.fix).isprintable()
    seen = as_dict(report)
    summary(seen).encode()
    json.dumps(seen, ensure_ascii=False, allow_nan=False).encode()
    rejections = (report.folder / "rejected.jsonl").read_text("utf-8").split("\n")[:-1]
    assert sorted(json.loads(each)["code"] for each in rejections) == sorted(
        each.code for each in report.errors
    )


IN_TIME = settings(
    max_examples=100,
    deadline=timedelta(seconds=5),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@IN_TIME
@given(content=st.binary(max_size=300))
def test_any_bytes_end_in_a_report_that_adds_up(tmp_path, content):
    adds_up(tmp_path / "rows.jsonl", content)


@IN_TIME
@given(content=almost_json_lines())
def test_rows_that_went_through_some_hands_end_in_a_report_that_adds_up(tmp_path, content):
    adds_up(tmp_path / "rows.jsonl", content)
