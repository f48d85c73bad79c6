"""A run as the starting point of another: on the preset that it was made from."""

from core import presets
from tests.conftest import QUICK
from webui.again import chosen_of
from webui.shared import Shared


def begun_on(store, name: str, preset: str) -> dict:
    spec = presets.resolve("tiny", overrides=QUICK)
    return chosen_of(Shared(store), store.create(name, spec, preset))[1]


def test_it_begins_on_the_preset_that_it_was_made_from_though_another_is_nearer(store):
    assert begun_on(store, "a", "3090")["preset"] == "3090"


def test_on_the_nearest_one_where_none_is_known_or_it_is_gone(store):
    assert begun_on(store, "older", "")["preset"] == "tiny"
    assert begun_on(store, "gone", "colossal")["preset"] == "tiny"


def test_what_differs_from_that_preset_is_filled_in(store):
    values = begun_on(store, "a", "3090")["values"]
    assert values["model.base"] == "fable" and values["train.max_steps"] == 12
