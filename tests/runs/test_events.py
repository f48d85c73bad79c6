"""events.jsonl is the only channel between a job and its viewers, and Progress is a fold over it."""

import dataclasses

from core.runs.events import (
    OUT_OF_MEMORY,
    Begun,
    Continued,
    EventLog,
    Failed,
    Finished,
    HeldOut,
    Noted,
    Paused,
    Progress,
    Published,
    Queued,
    Sampled,
    Saved,
    Staged,
    Started,
    Stepped,
    Stopped,
    advance,
)  # fmt: skip


def stepped(step, loss=1.0, at=0.0):
    return Stepped(at=at, step=step, epoch=1, loss=loss, learning_rate=1e-4, gradient_norm=1, tokens_per_second=10,
                   memory_bytes=1, eta_seconds=1)  # fmt: skip


def warned(code, step, text="Look."):
    return Noted(at=5, text=text, warning=True, code=code, step=step)


EVENTS = [
    Queued(at=1, act="train"),
    Started(at=2, act="train", pid=1, device="0,1"),
    Noted(at=2, text="bfloat16"),
    HeldOut(at=3, step=0, loss=4, token_accuracy=0.1),
    Sampled(at=3, step=0, question="Who?", answer="a", ended="length"),
    Sampled(at=3, step=0, question="Why?", answer="b"),
    Begun(at=3, total_steps=3),
    stepped(1, 3.0, at=4),
    stepped(2, 2.0, at=5),
    Saved(at=6, step=2),
    HeldOut(at=6, step=2, loss=2, token_accuracy=0.3),
    Sampled(at=6, step=2, question="Who?", answer="c"),
    Paused(at=6, step=2),
    Continued(at=7, step=2),
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


# A training that was interrupted in every way there is.
TROUBLED = [
    *EVENTS[:13],
    warned("diverging", 2),
    warned("diverging", 2, "Look again."),
    warned(OUT_OF_MEMORY, 3),
    Staged(at=8, stage="Saving a checkpoint"),
    Stopped(at=8, act="train", step=2, forced=True),
    Queued(at=9, act="train"),
    Started(at=9, act="train", pid=2, device="cpu"),
    Noted(at=9, text="bfloat16"),
    Begun(at=9, total_steps=3, resumed_from=2),
    stepped(3, 0.5, at=10),
    warned("memory", 3),
    Paused(at=10, step=3),
    Stopped(at=11, act="train", step=3, discarded=True),
    Queued(at=12, act="train"),
    Started(at=12, act="train", pid=3, device="cpu"),
    HeldOut(at=13, step=0, loss=4, token_accuracy=0.1),
    Sampled(at=13, step=0, question="Who?", answer="d"),
    Begun(at=13, total_steps=3),
]


def test_progress_does_not_depend_on_how_the_events_were_cut():
    for events in (EVENTS, TROUBLED):
        whole = advance(Progress(), events)
        for cut in range(len(events) + 1):
            assert advance(advance(Progress(), events[:cut]), events[cut:]) == whole
    whole = advance(Progress(), EVENTS)
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


def test_a_paused_run_is_neither_running_nor_ended_until_it_goes_on():
    at = EVENTS.index(Continued(at=7, step=2))
    assert advance(Progress(), EVENTS[:at]).state == "paused"
    assert advance(Progress(), EVENTS[: at + 1]).state == "running"


def test_a_warning_stays_with_its_step_through_a_resume_and_is_held_once():
    resumed = advance(Progress(), TROUBLED[: TROUBLED.index(warned("memory", 3)) + 1])
    assert [(each.code, each.text) for each in resumed.warnings] == [
        ("diverging", "Look again."),
        (OUT_OF_MEMORY, "Look."),  # though its step came again
        ("memory", "Look."),
    ]
    assert [note.text for note in resumed.notes if not note.code] == ["bfloat16"]  # not twice


def test_a_beginning_takes_back_warnings_and_answers_of_steps_that_come_again():
    again = advance(Progress(), TROUBLED)
    assert [each.code for each in again.warnings] == [OUT_OF_MEMORY]
    assert {(each.question, each.answer) for each in again.samples} == {("Who?", "d"), ("Why?", "b")}


def test_what_was_discarded_is_not_saved_and_not_trained():
    at = next(at for at, event in enumerate(TROUBLED) if getattr(event, "discarded", False))
    gone = advance(Progress(), TROUBLED[: at + 1])
    assert gone.discarded and gone.resumable and gone.saved_step == 0 and gone.step == 3
    assert not advance(Progress(), TROUBLED).discarded


def test_steps_that_a_resume_repeats_are_counted_once():
    killed = advance(Progress(), EVENTS[:15])
    resumed = advance(killed, [Begun(total_steps=3, resumed_from=2), stepped(3, 0.5)])
    assert [each.step for each in resumed.steps] == [1, 2, 3] and resumed.steps[-1].loss == 0.5
    assert [each.step for each in resumed.held_out] == [0, 2]


def test_a_run_that_begins_again_forgets_the_steps_before():
    base = HeldOut(at=20, step=0, loss=4, token_accuracy=0.1)
    again = advance(advance(Progress(), EVENTS[:15]), [base, Begun(total_steps=3), stepped(1)])
    assert [each.step for each in again.steps] == [1] and again.held_out == (base,)


def test_progress_is_a_value():
    assert dataclasses.is_dataclass(Progress) and hash(advance(Progress(), EVENTS)) == hash(
        advance(Progress(), EVENTS)
    )
