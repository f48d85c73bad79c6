"""Documents -> questions and answers that a model writes, and that are checked."""

import json
import re

import pytest

from core.data.generate import generate
from core.data.generate.asking import Endpoint, asked
from core.data.generate.llm import read_pairs
from core.data.generate.support import unsupported
from core.errors import DataError
from core.talk import address
from tests.data.generate.endpoint import serving
from tests.data.generate.making import rows, sources

ONE_BED = "# Garden\n\nIn the north bed grow 11 roses, which the gardener waters at sunset in summer.\n"
NAMES = ("north", "south", "east", "west", "upper", "lower", "round", "long", "narrow", "wide")
BEDS = "# Garden\n" + "".join(
    f"\n## Bed {word}\n\nIn the {word} bed grow {number} roses, which the gardener waters at sunset in summer.\n"
    for number, word in enumerate(NAMES, 11)
)


def honest(request):
    """Pairs that the passage bears out."""
    word, number = re.search(r"In the (\w+) bed grow (\d+) roses", request["messages"][1]["content"]).groups()
    pairs = [
        {
            "question": f"How many roses grow in the {word} bed?",
            "answer": f"In the {word} bed grow {number} roses.",
        }
    ]
    return json.dumps(pairs)


def fenced(request):
    return f"Here you are:\n```json\n{honest(request)[:-1]},]\n```\nAnything else?"


def invented(request):
    return json.dumps(
        [{"question": "How many roses grow in the garden?", "answer": "There are 99 roses in the garden."}]
    )


@pytest.fixture
def at_once(monkeypatch):
    """Nobody waits between tries; how long they would have waited."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # what is asked is on this machine
    waited: list[float] = []
    made = Endpoint.__init__
    monkeypatch.setattr(
        Endpoint, "__init__", lambda self, url, model: made(self, url, model, 0.5, waited.append)
    )
    return waited


def run(tmp_path, endpoint, count=10, **options):
    name = tmp_path / "beds.md"
    if not name.exists():
        name.write_text(BEDS, "utf-8")
    return generate(
        [str(name)],
        "llm-based",
        count,
        tmp_path / "out.jsonl",
        endpoint=endpoint.url,
        model="scribe",
        **options,
    )


def test_an_endpoint_that_misbehaves_in_turn_still_gives_all_rows(tmp_path, at_once):
    script = [
        "no JSON at all",
        honest,
        (500, {}),
        honest,
        ("wait", 1.5),
        honest,
        (429, {"Retry-After": "7"}),
        honest,
        fenced,
    ]
    with serving(*script) as endpoint:
        made = run(tmp_path, endpoint)
    assert made.made == 10
    assert made.left_out == {"replies that are no list of questions and answers": 1}
    assert 7.0 in at_once
    assert len({question for question, _ in rows(tmp_path / "out.jsonl")}) == 10
    for (_, answer), source in zip(
        rows(tmp_path / "out.jsonl"), sources(tmp_path / "out.sources.jsonl"), strict=True
    ):
        assert re.search(r"\d+", answer)[0] in source["passages"][0]["text"]


def test_an_answer_that_the_passage_does_not_bear_out_is_rejected_and_kept_apart(tmp_path, at_once):
    with serving(honest, invented, honest) as endpoint:
        made = run(tmp_path, endpoint)
    assert made.made == 9
    (rejected,) = sources(tmp_path / "out.rejected.jsonl")
    assert rejected["why"] == "the passage does not hold the number 99"
    assert "roses" in rejected["passage"]
    assert "99" not in (tmp_path / "out.jsonl").read_text()
    assert made.left_out["written, but the passage does not hold the number that it gives"] == 1


def test_the_budget_stops_it_with_what_was_made_written_and_a_second_run_goes_on(tmp_path, at_once):
    with serving(honest, tokens=600) as endpoint:
        made = run(tmp_path, endpoint, budget=2000)
        assert 0 < made.made < 10
        assert len(endpoint.requests) * 600 <= 2000 + 600
        assert made.stopped == "The budget of 2,000 tokens is spent."
        assert len(rows(tmp_path / "out.jsonl")) == made.made
        before = len(endpoint.requests)
        whole = run(tmp_path, endpoint)
        assert whole.made == 10
        assert len(endpoint.requests) == 10 and before < 10  # no passage was asked about twice
        again = run(tmp_path, endpoint)
        assert (again.made, len(endpoint.requests)) == (10, 10)


def test_a_journal_that_was_torn_is_mended(tmp_path, at_once):
    with serving(honest) as endpoint:
        run(tmp_path, endpoint, count=3)
        journal = tmp_path / "out.journal.jsonl"
        data = journal.read_bytes()
        journal.write_bytes(data[:-30])
        made = run(tmp_path, endpoint)
    assert made.made == 10
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_journal_of_other_documents_is_not_gone_on_with(tmp_path, at_once):
    with serving(honest) as endpoint:
        run(tmp_path, endpoint, count=3)
        (tmp_path / "beds.md").write_text(BEDS.replace("roses", "tulips"))
        with pytest.raises(DataError, match="other documents"):
            run(tmp_path, endpoint)


def test_a_refused_token_ends_it_at_once_in_a_sentence_without_the_token(tmp_path, at_once, monkeypatch):
    monkeypatch.setenv("ATELIER_ENDPOINT_TOKEN", "secret-7")
    with serving((401, {})) as endpoint, pytest.raises(DataError, match="ATELIER_ENDPOINT_TOKEN") as error:
        run(tmp_path, endpoint)
    assert "secret-7" not in str(error.value)
    assert len(endpoint.requests) == 1
    assert endpoint.headers[0]["authorization"] == "Bearer secret-7"
    assert "secret-7" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_no_other_token_is_ever_sent(tmp_path, at_once, monkeypatch):
    monkeypatch.delenv("ATELIER_ENDPOINT_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_of-the-hub")
    with serving(honest) as endpoint:
        run(tmp_path, endpoint, count=1)
    assert "hf_of-the-hub" not in str(endpoint.headers)


def test_an_endpoint_that_is_down_is_given_up_on_and_what_was_made_stays(tmp_path, at_once):
    with serving(honest, honest, (503, {})) as endpoint:
        made = run(tmp_path, endpoint)
    assert made.made == 2
    assert "4 times in a row" in made.stopped
    assert len(endpoint.requests) == 2 + 3 * 4
    assert all(wait <= 60 for wait in at_once)


def test_nobody_waits_an_hour_because_an_endpoint_says_so(tmp_path, at_once):
    with serving((429, {"Retry-After": "3600"})) as endpoint, pytest.raises(DataError, match="3,600 seconds"):
        run(tmp_path, endpoint)
    assert at_once == []


def test_replies_that_never_are_json_end_after_a_bounded_number_of_requests(tmp_path, at_once):
    with serving("Sorry.") as endpoint:
        with pytest.raises(DataError, match="No question can be made"):
            run(tmp_path, endpoint)
        assert len(endpoint.requests) == 10 * 3


def test_sides_share_no_passage(tmp_path, at_once):
    with serving(honest) as endpoint:
        made = run(tmp_path, endpoint, split=True)
    assert sorted(made.rows.values()) == [1, 1, 8]


def test_offline_mode_is_named_as_what_forbids_it(tmp_path):
    with serving(honest) as endpoint, pytest.raises(DataError, match="HF_HUB_OFFLINE is set"):
        run(tmp_path, endpoint)
    assert endpoint.requests == []


def test_who_is_to_write_must_be_said(tmp_path):
    for options in (
        {},
        {"endpoint": "http://x/v1"},
        {"base": "nobody"},
        {"endpoint": "file:///etc", "model": "m"},
    ):
        arguments = {"endpoint": None, "model": None, "base": None} | options
        with pytest.raises(DataError):
            asked(**arguments, runs=tmp_path)


@pytest.mark.parametrize(
    "text, found",
    [
        ('[{"question": "Q?", "answer": "A."}]', [("Q?", "A.")]),
        ('```json\n[{"question": "Q?", "answer": "A."},]\n```', [("Q?", "A.")]),
        ('Sure! {"pairs": [{"question": "Q?", "answer": "A."}]}', [("Q?", "A.")]),
        ('{"question": "Q?", "answer": "A."}', [("Q?", "A.")]),
        ('[{"question": "Q?", "answer": 7}]', None),
        ('[{"question": "Q?"}]', None),
        ('[{"question": "Q?", "answer": "A', None),
        ("[" * 100_000, None),
        ("no", None),
        ("[]", None),
    ],
)
def test_replies_are_read_strictly_with_known_slips_forgiven(text, found):
    assert read_pairs(text) == found


@pytest.mark.parametrize(
    "question, answer, why",
    [
        ("Who built the mill?", "The mill was built by Anna Berg in 1840.", None),
        ("Who built the mill?", "The mill was built by Anna Berg in 1850.", "number 1850"),
        ("Who built the mill?", "The mill was built by Anna Stein.", "name Stein"),
        ("Did NASA build the mill?", "No.", "name NASA"),
        ("What is it?", "Gardening needs patience, sunshine, fertile soil, constant water.", "most words"),
        ("What does the passage say?", "The mill was built.", "speaks of the passage"),
        ("Quand le moulin fut-il construit ?", "", "empty"),
    ],
)
def test_an_answer_needs_its_numbers_names_and_words_from_the_passage(question, answer, why):
    passage = "The old mill by the river was built by Anna Berg in 1840. It ground wheat until 1903."
    said = unsupported(question, answer, passage)
    assert (said is None) if why is None else why in said


def test_forms_of_a_french_word_support_each_other():
    passage = (
        "Protégez les clés privées : l’Anssi recommande 128 bits. La clé d’Ansible est conservée 6 mois."
    )
    assert (
        unsupported(
            "Que recommande l’Anssi ?", "L’Anssi recommande des clés privées protégées de 128 bits.", passage
        )
        is None
    )
    assert "Puppet" in unsupported("Et Puppet ?", "La clé est conservée 6 mois.", passage)


def test_a_run_of_ones_own_is_asked_in_a_process_that_ends(tmp_path, full_run):
    name = tmp_path / "beds.md"
    name.write_text(ONE_BED, "utf-8")
    with pytest.raises(DataError, match="replies that are no list"):  # a model of a few steps writes no JSON
        generate(
            [str(name)], "llm-based", 1, tmp_path / "out.jsonl", base="full", runs=full_run.folder.parent
        )
    (entry, *_) = [json.loads(line) for line in (tmp_path / "out.journal.jsonl").read_text().splitlines()[1:]]
    assert address.read(full_run) is None
    assert entry["unread"] == 3 and entry["tokens"] > 100
