"""Questions that are measured with and trained on."""

import subprocess
import sys

import numpy as np

from core.data.doctor.leakage import Known, benchmarks, contaminated, leaks
from core.data.examples import Example, Message, Source

MILL = (
    "A miller grinds 12 sacks of wheat in the morning and twice as many in the afternoon, and sells each of them for "
    "3 coins at the market. How many coins does he have in the evening if he pays 20 of them to the carter?"
)
SHIP = (
    "A ship carries 400 barrels, of which a quarter are full of water and half of the rest are full of salt. The crew "
    "drinks two barrels of water each day. After how many days is there no water left on the ship?"
)
KNOWN = Known.from_questions("the mill test", [MILL, SHIP], of=5)


def example(question: str, answer: str = "52", line: int = 1) -> Example:
    return Example((Message("user", question), Message("assistant", answer)), Source("a.jsonl", line))


def said(examples, known=KNOWN):
    return [(found.index, found.code) for found in contaminated(examples, known)]


def test_a_question_of_a_benchmark_is_named_with_what_is_known_of_it():
    (found,) = contaminated([example("How are you?"), example(SHIP)], KNOWN)
    assert (found.index, found.code) == (1, "in-benchmark")
    why = found.remark().why
    assert "question 2 of the mill test" in why
    assert "2 of its 5 questions are known here" in why


def test_a_question_is_known_in_other_writing_and_inside_other_text():
    shouted = MILL.upper().replace(",", " ;").replace(" ", "  ")
    framed = f"Solve the problem below, and give only the number.\n\nProblem: {MILL}\n\nThink first."
    assert said([example(shouted), example(framed), example("Go on.", f"Q: {MILL} A: 88")]) == [
        (0, "in-benchmark"),
        (1, "in-benchmark"),
        (2, "in-benchmark"),
    ]


def test_a_question_that_follows_the_same_model_is_not_the_same():
    other = (
        MILL.replace("miller", "baker").replace("wheat", "rye").replace("12", "9").replace("coins", "euros")
    )
    assert said([example(other), example("A miller grinds 12 sacks of wheat in the morning.")]) == []


def test_a_question_is_found_at_the_end_of_a_very_long_text():
    assert said([example("word " * 500_000 + MILL)]) == [(0, "in-benchmark")]


def test_an_instruction_that_all_questions_share_accuses_nobody():
    frame = (
        "Below is an instruction that describes a task. Write a response that completes it in the best way. "
    )
    known = Known.from_questions("mine", [f"{frame} Name a river.", f"{frame} Name a mountain."])
    assert said([example(f"{frame} Name a star.")], known) == []
    assert said([example(f"{frame} name a RIVER")], known) == [(0, "in-benchmark")]


def test_texts_without_words_are_like_no_other():
    assert said([example("?", "!")], Known.from_questions("mine", ["...", ""])) == []


def test_fingerprints_are_saved_without_any_text_and_read_back(tmp_path):
    KNOWN.save(tmp_path / "mill.npz")
    again = Known.load(tmp_path / "mill.npz")
    assert (again.name, len(again), again.of) == ("the mill test", 2, 5)
    assert np.array_equal(again.runs, KNOWN.runs)
    assert np.array_equal(again.owners, KNOWN.owners)
    assert b"miller" not in (tmp_path / "mill.npz").read_bytes()
    assert said([example(MILL)], again) == [(0, "in-benchmark")]


def test_fingerprints_are_the_same_in_every_process(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"question": "Who built the mill?"}\n')
    made = tmp_path / "q.npz"
    command = [
        sys.executable,
        "-m",
        "core.data.doctor.benchmarks",
        tmp_path / "q.jsonl",
        made,
        "Mills",
        "--of",
        "3",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1 of 3 questions of Mills." in done.stdout
    assert (
        Known.load(made).wholes.tolist() == Known.from_questions("", ["who built the mill"]).wholes.tolist()
    )
    assert Known.load(made).wholes.tolist() == [WHO_BUILT_THE_MILL]


WHO_BUILT_THE_MILL = 14350837016480331046  # a saved fingerprint depends on this never changing


def test_gsm8k_comes_with_the_program_and_says_how_much_of_it():
    (gsm8k,) = [known for known in benchmarks() if "GSM8K" in known.name]
    assert (len(gsm8k), gsm8k.of) == (659, 1319)
    assert said([example(MILL)], gsm8k) == []


def test_held_out_rows_that_are_trained_on_point_at_where():
    training = [
        example("Hello!"),
        example(MILL.replace("carter", "driver"), line=2),
        example("name a river", line=3),
    ]
    measured = [example("Name a river."), example(SHIP), example(MILL), example("Name a river!", "Rhine")]
    found = list(leaks(training, measured))
    assert [(each.index, each.code) for each in found] == [(0, "leaked"), (2, "leaked"), (3, "leaked")]
    assert found[0].remark().why.startswith("a.jsonl:3, which is trained on, asks the same")
    assert found[1].remark().why.startswith("a.jsonl:2, which is trained on, holds 9")


def test_a_shared_system_message_leaks_nothing():
    def told(question):
        messages = (Message("system", MILL), Message("user", question), Message("assistant", "Yes."))
        return Example(messages, Source("a.jsonl", 1))

    assert list(leaks([told("Name a star.")], [told("Name a river.")])) == []


def test_nothing_leaks_from_or_into_nothing():
    assert list(leaks([], [example(MILL)])) == []
    assert list(leaks([example(MILL)], [])) == []
