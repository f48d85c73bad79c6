"""Whose plan is made next: nobody's luck, and nobody's many pages."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

import gradio as gr
import pytest

from core.errors import UserError
from tests.webui.answering import answering
from tests.webui.test_visitors import asking
from webui import places
from webui.places import Places
from webui.planning import Plans


def once() -> Callable[[], bool]:
    """For who looks whether there is a place, and does not wait for one."""
    return iter([True, False]).__next__


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(places, "LOOK", 0.001)


def taken(all_: Places, held: ExitStack, who: str | None) -> bool:
    """Whether this visitor of a Space gets a place now, and then keeps it."""
    with asking(who):
        return held.enter_context(all_.one(once()))


def test_on_a_space_nobody_holds_two_places_and_strangers_together_hold_one():
    all_ = Places(2, on_a_space=True)
    with ExitStack() as held:
        assert taken(all_, held, None)
        assert not taken(all_, held, None)  # another stranger, or the same one again
        assert taken(all_, held, "ada")
        assert not taken(all_, held, "ada")
        assert not taken(all_, held, "bob")  # both are held
    with ExitStack() as held:
        assert taken(all_, held, "ada")
        assert not taken(all_, held, "ada")
        assert taken(all_, held, None)  # what is free stands empty for nobody


def test_elsewhere_each_page_holds_one():
    all_ = Places(2, on_a_space=False)

    def of_page(name: str) -> bool:
        with answering(gr.Request(session_hash=name)):
            return held.enter_context(all_.one(once()))

    with ExitStack() as held:
        assert [of_page(name) for name in ("first", "first", "second", "third")] == [True, False, True, False]


def test_strangers_with_many_pages_do_not_hold_the_servers_threads(monkeypatch):
    all_ = Places(2, on_a_space=True)
    all_._waiting[places.STRANGERS] = places.MOST_WAITING
    with asking(None), pytest.raises(UserError, match="Too many pages wait"), all_.one(once()):
        pass
    with ExitStack() as held:
        assert taken(all_, held, "ada")


def test_a_plan_that_nobody_waits_for_any_more_gives_its_place_back(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "ATELIER_CACHE", str(tmp_path / "cache")
    )  # where nothing is known, a plan takes seconds
    plans = Plans(Places(1, on_a_space=False))
    arguments = ["sample:fables-en", "--preset", "tiny", "--runs", str(tmp_path)]

    def asked(page: str):
        plans.want(page, (page,))
        return plans.answer(page, (page,), arguments, None, None)

    with answering(gr.Request(session_hash="first")):
        left = asked("first")
        assert next(left) == 0 and isinstance(next(left), int)  # at work
    left.close()  # as gradio does when the page is closed
    with answering(gr.Request(session_hash="second")):
        answers = asked("second")
        giving_up = threading.Timer(10, plans.want, ("second", None))
        giving_up.start()
        assert next(answers) == 0 and isinstance(next(answers), int)
        giving_up.cancel()
        answers.close()
