import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from safetensors.torch import load_file, save_file

from core.errors import RunError
from core.runs.store import Run, RunStore
from core.spec import RunSpec
from core.talk import Loaded, Talk, address
from tests.conftest import until
from tests.evaluate.making import tuned_run

HELLO = [{"role": "user", "content": "Who led Alice down the hole?"}]
GREEDY = {"temperature": 0.0, "max_new_tokens": 12}
CHATTER = """
import os, sys, threading, time

print("a start that prints", flush=True)

def chatter():
    while not hasattr(sys.modules.get("core.talk.speaker"), "Writer"):
        time.sleep(0.01)
    speaker = sys.modules["core.talk.speaker"]
    decoding = speaker.decoding
    speaker.decoding = lambda request, *rest: {}["a mistake"] if request.seed == 666 else decoding(request, *rest)
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
def own_run(run, tmp_path):
    """The same, with nobody answering for it yet."""
    shutil.copytree(run.folder, tmp_path / "tiny", ignore=shutil.ignore_patterns("*serve.json*", "talk.log"))
    return Run(tmp_path / "tiny")


@pytest.fixture
def own_talk(own_run):
    """For a test that ends it."""
    talk = Talk(own_run)
    yield talk
    talk.close()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


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


def test_an_answer_that_fills_the_context_says_so(talk):
    long = [{"role": "user", "content": "Alice and the rabbit. " * 60}]
    last = list(talk.reply(long, temperature=0.0, max_new_tokens=10_000, side="base"))[-1]
    assert last.ended == "context" and last.prompt_tokens + last.tokens == 512


def test_what_a_library_prints_lands_in_the_log_not_in_the_answer(talk, run):
    assert "library" not in said(talk.reply(HELLO, **GREEDY))
    assert "a library that prints" in (run.folder / "talk.log").read_text()


def test_a_mistake_is_a_sentence_its_traceback_is_in_the_log_and_the_process_goes_on(talk, run):
    with pytest.raises(RunError, match=r"^KeyError: 'a mistake'. The traceback is in the run's talk.log"):
        list(talk.reply(HELLO, seed=666))
    assert "Traceback" in (run.folder / "talk.log").read_text()
    assert list(talk.reply(HELLO, **GREEDY))[-1].ended == "length"


def test_sampling_rules_no_token_out_by_itself(talk):
    sampling = {"temperature": 2.0, "top_p": 1.0, "max_new_tokens": 1}
    first = {said(talk.reply(HELLO, seed=seed, **sampling)) for seed in range(100)}
    assert len(first) > 50  # what transformers keeps unless told otherwise


def test_a_process_killed_while_loading_is_a_sentence_too(own_talk):
    os.kill(own_talk.pid, signal.SIGKILL)
    with pytest.raises(RunError, match="has ended"):
        own_talk.ready(timeout=30)


def test_a_closed_talk_is_gone_at_once_and_says_so(own_talk):
    began = time.monotonic()
    own_talk.close()
    assert is_gone(own_talk.pid) and time.monotonic() - began < 10
    with pytest.raises(RunError, match="has ended"):
        list(own_talk.reply(HELLO))


def test_loading_that_takes_long_is_reported_and_can_be_waited_for_again(own_talk):
    with pytest.raises(RunError, match="still loading after 0 seconds"):
        own_talk.ready(timeout=0.01)


def test_a_run_that_was_not_trained_says_so(tmp_path):
    untrained = Talk(RunStore(tmp_path).create("untrained", RunSpec()))
    with pytest.raises(RunError, match="'untrained' has no final model yet"):
        untrained.ready(timeout=120)
    until(lambda: is_gone(untrained.pid), seconds=20)
    untrained.close()


def test_a_talk_that_nobody_holds_any_more_ends_its_process(own_run):
    forgotten = Talk(own_run)
    pid = forgotten.pid
    del forgotten
    gc.collect()
    until(lambda: is_gone(pid), seconds=10)


@pytest.mark.parametrize("signal", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_asking_process_is_the_end_of_the_answering_one(own_run, signal):
    parent, pid = asking_process(own_run)
    parent.send_signal(signal)
    parent.wait()
    until(lambda: is_gone(pid), seconds=10)


def asking_process(run):
    """A process with a Talk that waits for ever, and the pid of the one that answers it."""
    code = (
        "import sys, time; from pathlib import Path; from core.runs.store import Run; from core.talk import Talk\n"
        f"talk = Talk(Run(Path({str(run.folder)!r}))); print(talk.pid, flush=True)\n"
        "talk.ready(); print('ready', flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    return parent, int(parent.stdout.readline())


def test_a_second_one_joins_at_once_and_the_process_ends_with_the_last_even_if_the_first_was_killed(own_run):
    parent, pid = asking_process(own_run)
    assert parent.stdout.readline() == "ready\n"
    began = time.monotonic()
    second = Talk(own_run)
    loaded = second.ready(timeout=5)
    assert time.monotonic() - began < 1 and second.pid == pid and loaded.shared
    parent.kill()
    parent.wait()
    assert said(second.reply(HELLO, **GREEDY)) and second.alive
    second.close()
    assert is_gone(pid) and not (own_run.folder / "serve.json").exists()


def is_for(process: psutil.Process, run: Run) -> bool:
    with contextlib.suppress(psutil.Error):  # an earlier test's that has ended
        return str(run.folder) in process.cmdline()
    return False


def test_two_that_ask_at_the_same_moment_start_one_process(own_run):
    talks = []
    starting = [threading.Thread(target=lambda: talks.append(Talk(own_run))) for _ in range(4)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()
    started = [each for each in psutil.Process().children() if is_for(each, own_run)]
    assert [each.pid for each in started] == list({talk.pid for talk in talks})
    # The one that started it goes last: who is left alone before it has joined starts another.
    for talk in sorted(talks, key=lambda each: each._line._started is not None):
        talk.close()
    until(lambda: not any(is_for(each, own_run) for each in psutil.Process().children()), seconds=10)


def test_what_an_ended_process_left_behind_is_no_address(own_run):
    ended = subprocess.Popen(["true"])
    ended.wait()
    address.write(own_run, address.Address(ended.pid, "long ago:1", "http://127.0.0.1:9", "key"))
    assert address.read(own_run) is None
    (own_run.folder / "serve.json").write_text("[1, 2")
    assert address.read(own_run) is None


def test_only_its_owner_can_read_where_the_process_is_and_the_key(talk, run):
    assert (run.folder / "serve.json").stat().st_mode & 0o777 == 0o600
    assert len(address.read(run).key) >= 32 and not list(run.folder.glob(".serve.json.[0-9]*"))


def test_a_run_that_was_trained_again_is_never_answered_from_the_old_weights(talk, run):
    before = said(talk.reply(HELLO, **GREEDY))
    again = run.folder / "again"
    shutil.copytree(run.final, again)
    weights = load_file(again / "adapter_model.safetensors")
    save_file({name: -weight for name, weight in weights.items()}, again / "adapter_model.safetensors")
    shutil.rmtree(run.final)
    with pytest.raises(RunError, match="has no final model yet"):
        list(talk.reply(HELLO, **GREEDY))
    again.rename(run.final)
    assert said(talk.reply(HELLO, **GREEDY)) != before


def test_a_killed_process_is_a_sentence_not_a_silence(talk):
    """The last one: it ends the process that those above share."""
    answer = talk.reply(HELLO, temperature=0.0, max_new_tokens=400)
    next(answer)
    os.kill(talk.pid, signal.SIGKILL)
    with pytest.raises(RunError, match=r"has ended.*out of memory.*talk\.log"):
        list(answer)
    with pytest.raises(RunError, match="has ended"):
        list(talk.reply(HELLO))
    talk.stop()
