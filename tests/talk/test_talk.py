import gc
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from core.errors import RunError
from core.runs.store import RunStore
from core.spec import RunSpec
from core.talk import Loaded, Talk
from tests.conftest import until
from tests.evaluate.making import tuned_run

HELLO = [{"role": "user", "content": "Who led Alice down the hole?"}]
GREEDY = {"temperature": 0.0, "max_new_tokens": 12}
CHATTER = """
import os, sys, threading, time

print("a start that prints", flush=True)

def chatter():
    while "core.talk.speaker" not in sys.modules:
        time.sleep(0.01)
    while True:
        os.write(1, b"a library that prints\\n")
        time.sleep(0.02)

threading.Thread(target=chatter, daemon=True).start()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tuned_run(tmp_path_factory.mktemp("talk"), {"template": {"system": "Be brief."}})


@pytest.fixture(scope="module")
def talk(run, tmp_path_factory):
    """Shared by most tests, since loading takes seconds. Something in its process prints all the time."""
    chatter = tmp_path_factory.mktemp("chatter") / "sitecustomize.py"
    chatter.write_text(CHATTER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(chatter.parent))
        talk = Talk(run)
    yield talk
    talk.close()


@pytest.fixture
def own_talk(run):
    """For a test that ends it."""
    talk = Talk(run)
    yield talk
    talk.close()


def said(pieces) -> str:
    return "".join(piece.text for piece in pieces)


def test_base_and_tuned_are_one_copy_of_the_weights(talk, run):
    loaded = talk.ready(timeout=120)
    assert loaded == Loaded(run.spec.model.base, run.name, shared=True, memory_bytes=loaded.memory_bytes)
    assert 50e6 < loaded.memory_bytes < 5e9


def test_an_answer_arrives_piece_by_piece_and_the_next_one_is_separate(talk):
    first = list(talk.reply(HELLO, **GREEDY))
    assert len(first) > 3
    assert [piece.ended for piece in first[:-1]] == [None] * (len(first) - 1)
    assert first[-1].ended == "length" and first[-1].tokens == 12 and first[-1].seconds > 0
    assert said(talk.reply(HELLO, **GREEDY)) == said(first)


def test_the_two_sides_answer_differently(talk):
    assert said(talk.reply(HELLO, side="base", **GREEDY)) != said(talk.reply(HELLO, side="tuned", **GREEDY))


def test_the_same_seed_gives_the_same_answer_and_another_seed_another(talk):
    answers = [
        said(talk.reply(HELLO, temperature=1.5, top_p=1.0, max_new_tokens=12, seed=seed))
        for seed in (7, 7, 8)
    ]
    assert answers[0] == answers[1] != answers[2]
    unseeded = {said(talk.reply(HELLO, temperature=1.5, top_p=1.0, max_new_tokens=12)) for _ in range(2)}
    assert len(unseeded) == 2


def test_hardly_any_probability_kept_is_as_good_as_greedy(talk):
    kept = said(talk.reply(HELLO, temperature=1.5, top_p=1e-6, max_new_tokens=12, seed=1))
    assert kept == said(talk.reply(HELLO, **GREEDY))


def test_the_runs_system_prompt_applies_unless_the_conversation_has_its_own(talk):
    same = [{"role": "system", "content": "Be brief."}, *HELLO]
    other = [{"role": "system", "content": "Never say a word about rabbits."}, *HELLO]
    answers = [said(talk.reply(messages, **GREEDY)) for messages in (HELLO, same, other)]
    assert answers[0] == answers[1] != answers[2]


def test_a_stop_ends_the_answer_and_not_the_next_one(talk):
    pieces = []
    for piece in talk.reply(HELLO, temperature=0.0, max_new_tokens=400):
        pieces.append(piece)
        if len(pieces) == 3:
            threading.Thread(target=talk.stop).start()
    assert pieces[-1].ended == "stopped" and pieces[-1].tokens < 400
    talk.stop()  # there is nothing to stop
    assert list(talk.reply(HELLO, **GREEDY))[-1].tokens == 12


def test_an_answer_nobody_reads_to_its_end_does_not_leak_into_the_next(talk):
    abandoned = talk.reply(HELLO, temperature=0.0, max_new_tokens=400)
    next(abandoned)
    began = time.monotonic()
    abandoned.close()
    assert said(talk.reply(HELLO, **GREEDY)) == said(talk.reply(HELLO, **GREEDY))
    assert time.monotonic() - began < 5


def test_a_second_answer_waits_for_its_turn(talk):
    alone = said(talk.reply(HELLO, **GREEDY))
    answers = {}

    def ask(name: str) -> None:
        answers[name] = said(talk.reply(HELLO, **GREEDY))

    asking = [threading.Thread(target=ask, args=(name,)) for name in "abc"]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert answers == dict.fromkeys("abc", alone)


def test_a_conversation_longer_than_the_context_is_a_sentence_and_the_next_one_is_answered(talk):
    long = [{"role": "user", "content": "Alice and the rabbit. " * 200}]
    with pytest.raises(RunError, match=r"is \d+ tokens long and the model sees 512 at once"):
        list(talk.reply(long, **GREEDY))
    assert list(talk.reply(HELLO, **GREEDY))[-1].ended == "length"


def test_what_a_library_prints_lands_in_the_log_not_in_the_answer(talk, run):
    assert "library" not in said(talk.reply(HELLO, **GREEDY))
    assert "a library that prints" in (run.folder / "talk.log").read_text()


def test_a_mistake_is_a_sentence_its_traceback_is_in_the_log_and_the_process_goes_on(talk, run):
    with pytest.raises(RunError, match=r"^KeyError: 'content'. The traceback is in talk.log.$"):
        list(talk.reply([{"role": "user"}], **GREEDY))
    assert "Traceback" in (run.folder / "talk.log").read_text()
    assert list(talk.reply(HELLO, **GREEDY))[-1].ended == "length"


def test_sampling_rules_no_token_out_by_itself(talk):
    sampling = {"temperature": 1000.0, "top_p": 1.0, "max_new_tokens": 1}
    first = {said(talk.reply(HELLO, seed=seed, **sampling)) for seed in range(70)}
    assert len(first) > 50  # what transformers keeps unless told otherwise


def test_a_process_killed_while_loading_is_a_sentence_too(own_talk):
    own_talk.process.kill()
    with pytest.raises(RunError, match="has ended"):
        own_talk.ready(timeout=30)


def test_a_closed_talk_is_gone_at_once_and_says_so(own_talk):
    began = time.monotonic()
    own_talk.close()
    assert own_talk.process.returncode is not None and time.monotonic() - began < 10
    with pytest.raises(RunError, match="has ended"):
        list(own_talk.reply(HELLO))


def test_loading_that_takes_long_is_reported_and_can_be_waited_for_again(own_talk):
    with pytest.raises(RunError, match="still loading after 0 seconds"):
        own_talk.ready(timeout=0.01)


def test_a_run_that_was_not_trained_says_so(tmp_path):
    untrained = Talk(RunStore(tmp_path).create("untrained", RunSpec()))
    with pytest.raises(RunError, match="'untrained' has no final model yet"):
        untrained.ready(timeout=120)
    assert untrained.process.wait(timeout=20) == 1
    untrained.close()


def test_a_talk_that_nobody_holds_any_more_ends_its_process(run):
    forgotten = Talk(run)
    child = psutil.Process(forgotten.process.pid)
    del forgotten
    gc.collect()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, seconds=10)


@pytest.mark.parametrize("signal", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_asking_process_is_the_end_of_the_answering_one(run, signal):
    code = (
        "import sys; from pathlib import Path; from core.runs.store import Run; from core.talk import Talk\n"
        f"talk = Talk(Run(Path({str(run.folder)!r}))); print(talk.process.pid, flush=True); talk.ready()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal)
    parent.wait()
    parent.stdout.close()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, seconds=10)


def test_a_killed_process_is_a_sentence_not_a_silence(talk):
    """The last one: it ends the process that those above share."""
    answer = talk.reply(HELLO, temperature=0.0, max_new_tokens=400)
    next(answer)
    os.kill(talk.process.pid, signal.SIGKILL)
    with pytest.raises(RunError, match=r"has ended.*out of memory.*talk\.log"):
        list(answer)
    with pytest.raises(RunError, match="has ended"):
        list(talk.reply(HELLO))
    talk.stop()
