"""events.jsonl is the only channel between a job and its viewers, and Progress is a fold over it."""

import dataclasses

from core.runs.events import (
    Begun,
    EventLog,
    Failed,
    Finished,
    HeldOut,
    Noted,
    Progress,
    Published,
    Queued,
    Saved,
    Started,
    Stepped,
    advance,
)  # fmt: skip


def stepped(step, loss=1.0, at=0.0):
    return Stepped(at=at, step=step, epoch=1, loss=loss, learning_rate=1e-4, gradient_norm=1, tokens_per_second=10,
                   memory_bytes=1, eta_seconds=1)  # fmt: skip


EVENTS = [
    Queued(at=1, act="train"),
    Started(at=2, act="train", pid=1),
    Noted(at=2, text="bfloat16"),
    HeldOut(at=3, step=0, loss=4, token_accuracy=0.1),
    Begun(at=3, total_steps=3),
    stepped(1, 3.0, at=4),
    stepped(2, 2.0, at=5),
    Saved(at=6, step=2),
    HeldOut(at=6, step=2, loss=2, token_accuracy=0.3),
    stepped(3, 1.0, at=7),
    Finished(at=8, act="train", output="final"),
    Queued(at=9, act="push"),
    Started(at=9, act="push", pid=2),
    Published(at=10, repo_id="a/b", url="u", commit="c"),
    Finished(at=11, act="push"),
]


def test_what_is_appended_is_read_back(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for event in EVENTS:
        log.append(event)
    assert log.read()[0] == EVENTS


def test_reading_on_from_an_offset_gives_only_what_is_new(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(EVENTS[0])
    _, offset = log.read()
    log.append(EVENTS[1])
    assert log.read(offset)[0] == [EVENTS[1]]


def test_a_line_still_being_written_is_left_for_later(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(EVENTS[0])
    with log.path.open("a") as file:
        file.write('{"event": "step')
    assert log.read()[0] == [EVENTS[0]]


def test_a_line_torn_by_a_full_disk_does_not_swallow_the_next(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.path.write_text('{"event": "stepped", "at": 17, "step": 3}\n{"event": "step')
    log.append(EVENTS[0])
    assert log.read()[0] == [EVENTS[0]]  # and a line without all its fields is passed over too


def test_a_kind_or_a_field_of_a_newer_version_is_passed_over(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.path.write_text(
        '{"event": "danced", "at": 1}\n{"torn\n{"event": "queued", "at": 1, "act": "train", "mood": "calm"}\n'
    )
    assert log.read()[0] == [EVENTS[0]]


def test_progress_does_not_depend_on_how_the_events_were_cut():
    whole = advance(Progress(), EVENTS)
    for cut in range(len(EVENTS) + 1):
        assert advance(advance(Progress(), EVENTS[:cut]), EVENTS[cut:]) == whole
    assert (
        whole.trained and whole.state == "finished" and whole.act == "push" and whole.published[0].url == "u"
    )


def test_a_failed_push_does_not_untrain_the_run():
    after = advance(Progress(), [*EVENTS, Queued(act="push"), Failed(act="push", message="no right")])
    assert (
        after.trained
        and not after.resumable
        and (after.act, after.state, after.message) == ("push", "failed", "no right")
    )


def test_steps_that_a_resume_repeats_are_counted_once():
    killed = advance(Progress(), EVENTS[:10])
    resumed = advance(killed, [Begun(total_steps=3, resumed_from=2), stepped(3, 0.5)])
    assert [each.step for each in resumed.steps] == [1, 2, 3] and resumed.steps[-1].loss == 0.5
    assert [each.step for each in resumed.held_out] == [0, 2]


def test_a_run_that_begins_again_forgets_the_steps_before():
    base = HeldOut(at=20, step=0, loss=4, token_accuracy=0.1)
    again = advance(advance(Progress(), EVENTS[:10]), [base, Begun(total_steps=3), stepped(1)])
    assert [each.step for each in again.steps] == [1] and again.held_out == (base,)


def test_progress_is_a_value():
    assert dataclasses.is_dataclass(Progress) and hash(advance(Progress(), EVENTS)) == hash(
        advance(Progress(), EVENTS)
    )
