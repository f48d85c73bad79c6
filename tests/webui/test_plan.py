"""The card before a start is drawn from a plan that was really made, and says of it what a person has to know."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from core import presets
from core.forecast import forecast
from core.publish import before
from core.spec import merge
from webui import forms
from webui.render.plan import card

LABELS = {path: forms.label(path) for path in forms.form_settings()}
USUAL = {"data": {"files": ["sample:fables-en"]}, "compute": {"threads": 1}}
LARGE = {"model": {"base": "llama3.1:8b"}, "method": {"kind": "full"}, "compute": {"device": "cpu"}}


def planned(*settings: dict) -> tuple[dict, str]:
    """A plan, and its card in words."""
    values = USUAL
    for each in settings:
        values = merge(values, each)
    spec = presets.resolve("tiny", overrides=values)
    seen = forecast(spec)
    seen |= {"publishing": before.planned(spec, seen["seconds"], Path(), 2 * seen["parameters"])}
    seen = json.loads(json.dumps(seen))
    drawn = re.sub(r"</?code>", "`", card(seen, spec, LABELS))
    return seen, " ".join(unescape(re.sub(r"<[^>]+>", " ", drawn)).split())


def test_rows_that_are_cut_left_out_or_cannot_be_used_are_counted_with_the_reason(tmp_path):
    file = tmp_path / "jars.jsonl"
    rows = [
        {"question": f"What is in jar {n}?", "answer": f"Jar {n} holds {n + 2} plums."} for n in range(12)
    ]
    rows += [rows[3], {"question": "Who?", "answer": ""}, {"question": "Why?", "answer": "So. " * 200}]
    file.write_text("\n".join(map(json.dumps, rows)))
    data = {"files": [str(file)], "drop": ["duplicate"], "held_out_fraction": 0}
    seen, words = planned({"data": data, "train": {"max_length": 64}})
    lost = f"{seen['cut_tokens']:,} tokens lost"
    assert f"Cut or left out 1 example cut at 64 tokens ({lost}) 1 row: " in words
    assert "1 row: Left out for duplicate, as data.drop says." in words
    assert len(seen["left_out"]) == 2 and all(f"1 row: {each['why']}" in words for each in seen["left_out"])
    assert "Cut or left out nothing; no example is cut" in planned()[1]


@pytest.mark.parametrize(
    "gigabytes, lead",
    [(30, "What makes it fit, the least harmful first:"), (8, "None of these is enough alone:")],
)
def test_what_would_make_it_fit_is_told_from_what_only_brings_it_nearer(gigabytes, lead):
    seen, words = planned(LARGE, {"compute": {"memory_gb": gigabytes}})
    assert seen["verdict"] == "does not fit" and "It does not fit" in words
    assert seen["refusal"] in words and lead in words
    offered = [each for each in seen["changes"] if each["fits"]] or seen["changes"]
    assert offered and all(f"{LABELS[each['setting']]}: {each['value']}" in words for each in offered[:3])
    assert "Guessed from letters:" in words and seen["tokens_guessed"] in words


def test_where_it_is_published_who_sees_it_and_what_is_in_the_way_is_said():
    for private, seen_by in ((True, "private"), (False, "public")):
        seen, words = planned({"publish": {"to": "ada/tales", "private": private}})
        assert f"Published the whole model, to ada/tales ({seen_by})" in words
        assert seen["publishing"]["refusal"] in words
