"""What a page shows is made from values alone, and whatever people or models wrote stays text."""

import re
from dataclasses import replace

import pytest

from core.publish.plan import PlannedFile, PublishPlan
from core.runs.events import (
    Begun,
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
from tests.conftest import quick
from tests.evaluate.reporting import general, held_out, hostile, report, sums
from webui.render import chat, evaluate, parts, publish, runs
from webui.talks import Said, Turn

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
TAG = re.compile(r"<img src=x", re.IGNORECASE)


def step(number, total=10, loss=1.0):
    return Stepped(
        step=number, epoch=1, loss=loss, learning_rate=1e-3, gradient_norm=1, tokens_per_second=100,
        memory_bytes=10**9, eta_seconds=(total - number) * 2,
    )  # fmt: skip


def after(*events):
    return advance(Progress(), events)


BEGUN = (Queued(act="train"), Started(act="train", pid=1), Begun(total_steps=10))


@pytest.mark.parametrize(
    "progress, sentence",
    [
        (Progress(), "Not started yet."),
        (after(Queued(act="train")), "Training is asked for; it begins as soon as no other run holds the processor."),
        (after(Queued(act="push")), "Publishing is about to begin."),
        (after(*BEGUN[:2], Staged(stage="Loading fable")), "Loading fable."),
        (after(*BEGUN[:2], Staged(stage="Answering", done=3, total=24)), "Answering, 3 of 24."),
        (after(*BEGUN, step(4)), "Training: step 4 of 10, about 12 seconds left."),
        (after(*BEGUN, step(4), Saved(step=4), Stopped(act="train", step=4)),
         "Stopped at step 4, saved. Resume goes on from there."),
        (after(*BEGUN[:2], Stopped(act="train")), "Stopped before anything was saved. Resume begins again."),
        (after(*BEGUN, Saved(step=2), step(4), Stopped(act="train", step=4, forced=True)),
         "It did not stop by itself and was ended at step 4. Resume goes on from step 2, which is saved."),
        (after(*BEGUN, step(4), Stopped(act="train", step=4, discarded=True)),
         "Stopped and discarded: its settings and curves are kept. Resume begins again."),
        (after(*BEGUN, Failed(act="train", message="The disk is full.")), "The disk is full."),
        (
            after(HeldOut(step=0, loss=6.2, token_accuracy=0), *BEGUN, HeldOut(step=0, loss=6.2, token_accuracy=0),
                  step(10), HeldOut(step=10, loss=2.5, token_accuracy=0.5), Finished(act="train", output="final")),
            "The training is done: 10 steps. Held-out loss was 6.20 at step 0 and 2.50 at its best, step 10.",
        ),
    ],
)  # fmt: skip
def test_a_state_is_told_in_words(progress, sentence):
    assert runs.status(progress) == sentence


@pytest.mark.parametrize(
    "events, asked, sentence",
    [
        ((step(4), Paused(step=4)), ["pause"], "Paused after step 4 of 10; it keeps its memory and its turn."),
        ((step(4), Paused(step=4)), [], "Going on after step 4 of 10."),
        ((step(4),), ["pause"], "Pausing: the step under way is finished first."),
        ((step(4), Paused(step=4)), ["pause", "stop"],
         "Stopping: the step under way is finished and a checkpoint saved."),
        ((step(4),), ["stop", "discard"], "Stopping: nothing is saved, and what the training made is removed."),
    ],
)  # fmt: skip
def test_what_is_asked_of_a_run_is_told_in_words(events, asked, sentence):
    assert runs.status(after(*BEGUN, *events), asked) == sentence


def test_each_act_is_offered_when_it_can_be_done(store):
    run = store.create("poems", quick())

    def offered(*events):
        progress = after(*events)
        acts = ("pause", "go_on", "stop", "discard", "end")
        found = [act for act in acts if getattr(runs, f"can_{act}")(run, progress)]
        return found + ["delete"] * runs.can_delete(progress)

    assert offered(*BEGUN[:2]) == ["stop", "discard"]  # it does not train yet
    assert offered(*BEGUN, step(1)) == ["pause", "stop", "discard"]
    run.request_pause()
    assert offered(*BEGUN, step(1), Paused(step=1)) == ["go_on", "stop", "discard"]
    run.request_stop()
    assert offered(*BEGUN, step(1)) == ["end"]
    assert offered(*BEGUN, step(1), Stopped(act="train")) == ["delete"]
    run.withdraw()
    assert offered(Queued(act="train")) == []  # its line offers to cancel it
    assert offered(*BEGUN, Finished(act="train"), Queued(act="push"), Started(act="push", pid=1)) == ["stop"]


def test_the_line_offers_no_way_up_to_the_first_and_none_down_to_the_last(store):
    shown = runs.line([store.create(name, quick()) for name in ("first", "last")])
    buttons = re.findall(r'<button[^>]*data-run="(\w+)" data-act="(\w+)"[^>]*?( disabled)?>', shown)
    assert [(run, act) for run, act, off in buttons if off] == [("first", "earlier"), ("last", "later")]
    assert [act for _, act, _ in buttons] == ["earlier", "later", "cancel"] * 2
    assert 'aria-label="Move last up"' in shown and runs.line([]) == ""


def test_answers_are_drawn_step_by_step_under_their_question():
    said = [Sampled(step=at, question=q, answer=f"{q} {at}") for at in (0, 4) for q in ("Who?", "Why?")]
    shown = runs.samples(
        after(
            *said[:2],
            *BEGUN,
            step(4),
            *said[2:],
            Sampled(step=8, question="Who?", answer=" ", ended="length"),
        )
    )
    assert re.findall(r"Wh[oy]\? \d", shown) == ["Who? 0", "Who? 4", "Why? 0", "Why? 4"]
    assert shown.count("cut off") == 1 and "nothing" in shown and runs.samples(Progress()) == ""


def test_a_run_asked_to_stop_says_so_until_it_does(store):
    run = store.create("poems", quick())
    for event in (*BEGUN, step(1)):
        run.events.append(event)
    with run.lock:  # as its process would hold it
        assert runs.can_stop(run, run.progress())
        run.request_stop()
        assert not runs.can_stop(run, run.progress())


def test_only_a_trained_run_can_be_talked_to_and_published(store):
    run = store.create("poems", quick())
    assert runs.ways_on(run, after(*BEGUN, step(1))) == ""
    ways = runs.ways_on(run, after(*BEGUN, step(10), Finished(act="train", output="final")))
    links = [parts.address(page, "poems") for page in ("evaluate", "chat", "publish")]
    assert re.findall(r'href="([^"]*)', ways) == links


def test_a_line_of_the_table_names_the_run_with_its_state_its_losses_and_the_first_line_of_its_note(store):
    run = store.create("poems", quick())
    run.set_note("too fast\nhalf the rate")
    row = runs.row(run, after(*BEGUN, step(4, loss=2.5)))
    name, state, steps, loss, held_out, _ = row["cells"]
    assert 'data-run="poems"' in name and "too fast" in name and "half" not in name
    assert "running" in state and (steps, loss, held_out) == ("4 of 10", "2.500", "")
    assert row["by"][:5] == ["poems", "running", 4, 2.5, None] and "half the rate" in row["words"]


def test_the_tab_says_how_far_a_run_is_while_it_works(store):
    run = store.create("poems", quick())
    assert runs.tab(run, after(*BEGUN, step(4))) == "40 % poems"
    assert runs.tab(run, after(*BEGUN, step(4), Paused(step=4))) == "40 % poems"
    assert runs.tab(run, after(*BEGUN[:2], Staged(stage="Loading"))) == "poems"
    assert runs.tab(run, after(*BEGUN, step(10), Finished(act="train"))) == "poems"


def test_a_bar_shows_the_steps_only_of_a_training():
    trained = (*BEGUN, step(10), Finished(act="train", output="final"))
    assert 'style="width:40.00%"' in runs.bar(after(*BEGUN, step(4)))
    assert "unknown" in runs.bar(after(*trained, Queued(act="push"), Started(act="push", pid=2)))
    assert 'style="width:25.00%"' in runs.bar(
        after(*trained, Started(act="evaluate", pid=2), Staged(stage="x", done=1, total=4))
    )
    assert 'style="width:100.00%"' in runs.bar(after(*trained, Failed(act="push", message="x")))


def test_a_failed_publication_shows_none_of_the_notes_of_an_earlier_one_and_what_it_published_as_before():
    first = (*BEGUN, Noted(text="chosen"), step(10), Queued(at=5e9, act="push"), Noted(at=5e9, text="arrived"),
             Published(at=5e9, repo_id="a/b", url="https://a/b", commit="c"))  # fmt: skip
    second = (Queued(at=6e9, act="push"), Noted(at=6e9, text="waiting"), Failed(act="push", message="x"))
    now, then = after(*first, *second), after(*first, Finished(act="push"))
    assert "waiting" in runs.notes_of_act(now) and not re.search("chosen|arrived", runs.notes_of_act(now))
    assert "arrived" in runs.notes_of_act(then) and "chosen" not in runs.notes_of_act(then)
    assert "Published before" in runs.published(now) and "Published before" not in runs.published(then)


def test_a_page_that_is_named_is_a_link_and_nothing_else_becomes_one():
    assert '<a href="./train">Train page</a>' in publish.nothing()
    assert parts.hint(HOSTILE) == f'<p class="hint">{parts.text(HOSTILE)}</p>'


def test_a_console_shows_the_last_state_of_a_progress_bar(store):
    run = store.create("poems", quick())
    run.console.write_text("begin\n10%\r50%\r100%\nend\n")
    assert "50%" not in runs.console(run) and "100%" in runs.console(run) and "begin" in runs.console(run)


def test_an_address_that_is_no_web_address_becomes_no_link():
    shown = runs.published(after(Published(repo_id="a/b", url="javascript:alert(1)", commit="c")))
    assert "href" not in shown and "a/b" in shown


class TestHostileTextStaysText:
    def test_in_a_run(self, store):
        run = store.create("poems", quick())
        run.set_note(HOSTILE)
        progress = after(
            *BEGUN,
            Noted(text=HOSTILE),
            Noted(text=HOSTILE, warning=True, code="x", step=1),
            Sampled(step=0, question=HOSTILE, answer=HOSTILE),
            Staged(stage=HOSTILE),
            Published(repo_id=HOSTILE, url=HOSTILE, commit="c"),
        )
        failed = after(*BEGUN, Failed(act="train", message=HOSTILE))
        shown = (
            runs.status_block(run, progress) + runs.status_block(run, failed) + runs.notes(progress)
            + runs.published(progress) + runs.samples(progress)
            + "".join(runs.row(run, progress)["cells"])
        )  # fmt: skip
        assert not TAG.search(shown)

    def test_in_scores_and_answers(self):
        found = hostile(HOSTILE)
        shown = evaluate.report(found) + "".join(evaluate.rows(found, task, "", 9) for task in found.tasks)
        assert not TAG.search(shown)

    def test_in_a_conversation(self):
        shown = chat.conversation([Turn(HOSTILE, {"tuned": Said(HOSTILE, "turn", 1, 1.0)})], HOSTILE)
        assert not TAG.search(shown)

    def test_in_a_plan(self):
        plan = PublishPlan(HOSTILE, True, "adapter", (PlannedFile(HOSTILE, 1),), HOSTILE, (HOSTILE,), HOSTILE)
        assert not TAG.search(publish.plan(plan) + publish.account(HOSTILE) + parts.alert(HOSTILE))


def test_a_card_is_shown_with_its_head_as_code_and_without_fetching_pictures():
    shown = publish.card("---\nlicense: mit\n---\n# Poems\n![curve](curve.png)\n")
    assert (
        shown.startswith("```yaml\nlicense: mit\n```")
        and "curve.png" not in shown
        and "*[picture: curve]*" in shown
    )


@pytest.mark.parametrize(
    "seconds, words",
    [
        (1, "1 second"),
        (61, "61 seconds"),
        (600, "10 minutes"),
        (9000, "2 hours 30 minutes"),
    ],
)
def test_a_duration_is_as_exact_as_an_estimate_deserves(seconds, words):
    assert parts.duration(seconds) == words


class TestAnEvaluation:
    def test_begins_with_the_verdict_and_says_what_was_forgotten(self):
        shown = evaluate.report(report())
        assert (
            shown.index("Training helped, but something was forgotten.")
            < shown.index("It forgot")
            < shown.index("<svg")
        )
        assert 'class="verdict mixed"' in shown and 'class="forgetting hurt"' in shown
        assert "questions like yours can do without" in shown

    def test_says_what_may_be_chance_in_a_line_of_its_own(self):
        maybe = replace(general("no clear change"), name="general-choices", label="By chance")
        shown = evaluate.verdict(report(held_out(), general("hurt"), maybe))
        assert "By chance" not in re.search('class="forgetting hurt">(.*?)</p>', shown)[1]
        assert "By chance" in re.search("class=beside>(.*?)</p>", shown)[1]

    def test_has_a_card_for_each_task_with_its_verdict(self):
        shown = evaluate.report(report(held_out(), general("no clear change")))
        assert re.findall(r'data-task="([\w-]+)"', shown) == ["held-out", "general"]
        assert "Training helped." in shown and "No clear forgetting" in shown

    def test_shows_the_rows_of_a_kind_and_no_more_than_are_asked_for(self):
        shown = evaluate.rows(report(), sums(), "loss", 3)
        assert shown.count("<tr>") == 1 + 3 and "3 of 4 rows" in shown
        assert "lost" in shown and "won</span>" not in shown

    def test_names_an_answer_in_which_nothing_was_found(self):
        shown = evaluate.rows(report(), sums(), "unread", 9)
        assert shown.count("a number was not found") == 4 and re.search("read as <b[^>]*>6</b>", shown)

    def test_draws_the_first_scores_and_lists_the_others(self):
        four = tuple(replace(sums().scores[0], label=name) for name in "abcd")
        shown = evaluate.report(report(replace(sums(), scores=four)))
        assert shown.count('<div class="intervals">') == 2 and "d ↑" in shown

    def test_of_none_is_a_sentence(self):
        assert "has not been scored" in evaluate.report(None)
        assert "There is no such row" in evaluate.rows(report(), sums(), "nothing", 9)
