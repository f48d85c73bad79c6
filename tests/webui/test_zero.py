"""Answers on a lent GPU, without one: what ZeroGPU adds is a fork and a limit in time."""

import pickle

from core.runs import Run
from core.talk import Piece, Talk
from webui import zero
from webui.visitors import Quota, Space, SpaceTalks

QUESTION = [{"role": "user", "content": "Who are you?"}]
BRIEF = {"temperature": 0.0, "max_new_tokens": 6}


def test_a_lent_gpu_answers_what_the_process_of_its_own_answers(lora_run, tmp_path):
    space = Space(tmp_path, Quota(), signing_in=True, zero_gpu=True)
    talk = SpaceTalks(space).open(lora_run)
    assert isinstance(talk, zero.LentTalk) and talk.alive
    own = Talk(lora_run)
    try:
        for side in ("tuned", "base"):
            lent, kept = list(talk.reply(QUESTION, side, **BRIEF)), list(own.reply(QUESTION, side, **BRIEF))
            assert "".join(piece.text for piece in lent) == "".join(piece.text for piece in kept)
            assert lent[-1].ended == kept[-1].ended
            assert pickle.loads(pickle.dumps(lent)) == lent  # as they come out of the fork
    finally:
        own.close()


def test_an_answer_on_a_lent_gpu_can_be_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(
        zero, "answer", lambda *asked: iter([Piece("word ", None, at, at) for at in range(1, 100)])
    )
    talk = zero.LentTalk(Run(tmp_path))
    pieces = talk.reply(QUESTION)
    assert next(pieces).ended is None
    talk.stop()
    assert [piece.ended for piece in pieces] == ["stopped"]
    talk.close()
    assert not talk.alive
