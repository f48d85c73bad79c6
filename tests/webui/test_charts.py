"""A run's curves as the few numbers that are drawn: none that matters is lost, and none is sent twice."""

import json
import math
import sys
import threading

import pytest
from pydantic import ValidationError

from core.runs import RunStore
from core.runs.events import Begun, Queued, Stepped
from tests.conftest import quick
from webui.board import Asked, Board
from webui.render.charts import MOST, Curves, ticks


def step(number, loss=1.0, **others):
    values = {
        "epoch": 1,
        "learning_rate": 1e-3,
        "gradient_norm": 1,
        "tokens_per_second": 9,
        "memory_bytes": 1,
    }
    return Stepped(step=number, loss=loss, eta_seconds=1, **values | others)


def followed(*losses):
    curves = Curves()
    curves.follow(tuple(step(number, loss) for number, loss in enumerate(losses, start=1)))
    return curves


def asked(news, window=None):
    """What the browser says that it has."""
    last = news["begin"] + len(news["step"]) - 1
    return {name: news[name] for name in ("version", "size", "begin")} | {"next": last, "window": window}


def test_of_many_steps_the_one_that_leaps_out_is_kept_and_so_are_the_ends():
    losses = [2.0] * 100_000
    losses[0], losses[54_321], losses[-1] = 7.0, 90.0, 0.5
    news = followed(*losses).news({})
    assert len(news["step"]) <= MOST + 1 and news["step"][-1] == 100_000
    drawn = [each for kind in ("a", "b") for each in news["loss"][kind]]
    assert {7.0, 90.0, 0.5} <= set(drawn)
    place = news["loss"]["b"].index(90.0) if 90.0 in news["loss"]["b"] else news["loss"]["a"].index(90.0)
    assert abs(news["step"][place] - 54_322) < news["size"]
    assert news["loss"]["mean"][place] == pytest.approx(2 + 88 / news["size"])


def test_extremes_come_in_the_order_in_which_they_were():
    news = followed(*([5.0, 1.0] * MOST)).news({})
    assert (news["size"], news["loss"]["a"][3], news["loss"]["b"][3]) == (4, 5.0, 1.0)


def test_a_closer_look_shows_every_step_of_its_span():
    curves = followed(*(math.sin(n) for n in range(100_000)))
    news = curves.news({"window": [5_000, 5_100]})
    assert news["size"] == 1 and news["step"] == list(range(4_999, 5_102))
    assert news["loss"]["mean"][1] == pytest.approx(math.sin(4_999), abs=1e-5)


def test_only_what_is_new_is_sent_and_joined_it_is_the_whole():
    losses = [float(n % 7) for n in range(2_000)]
    curves = followed(*losses[:1_700])
    first = curves.news({})
    kept = tuple(curves._steps)
    curves.follow((*kept, *(step(n, losses[n - 1]) for n in range(1_701, 2_001))))
    second = curves.news(asked(first))
    assert second["size"] == first["size"] and second["from"] == len(first["step"]) - 1
    assert len(second["step"]) < 80
    assert first["loss"]["mean"][: second["from"]] + second["loss"]["mean"] == curves.news({})["loss"]["mean"]


def test_after_steps_were_taken_back_all_is_sent_anew():
    curves = followed(*[3.0] * 20)
    first = curves.news({})
    curves.follow((*curves._steps[:10], *(step(n, 1.0) for n in range(11, 21))))
    second = curves.news(asked(first))
    assert second["version"] != first["version"] and second["from"] == 0
    assert second["loss"]["mean"] == [3.0] * 10 + [1.0] * 10


def test_a_loss_that_is_not_a_number_leaves_the_rest_of_the_curve():
    news = followed(1.0, math.nan, 3.0, math.inf).news({})
    assert news["loss"]["mean"] == [1.0, None, 3.0, None]
    many = followed(*[math.nan] * 10, *[2.0] * 2_000).news({})
    assert many["loss"]["mean"][:4] == [None, None, 2.0, 2.0] and many["loss"]["a"][0] is None
    json.dumps(news, allow_nan=False)
    json.dumps(many, allow_nan=False)


@pytest.mark.parametrize(
    "asked", [{"window": [9, 2]}, {"window": [-5, 1e9]}, {"window": [70, 80]}, {"next": 10**9}]
)
def test_whatever_a_browser_asks_for_is_answered(asked):
    assert followed(*[1.0] * 5).news(asked)["step"]
    assert Curves().news(asked) is None or Curves().news(asked)["step"] == []


def test_a_board_sends_each_part_once_and_the_log_to_who_has_it_open(tmp_path, monkeypatch):
    monkeypatch.setattr("webui.board.AGED", -1)  # seconds: everything is looked at anew
    store = RunStore(tmp_path)
    run = store.create("tales", quick())
    run.events.append(Queued(act="train"))
    run.console.write_text("begin\n")
    board = Board("tales")

    def news(**asked):
        board.age()
        board.make(lambda: [(each, each.progress()) for each in store.all()])
        return json.loads(board.news(Asked.model_validate(asked)))

    first = news()
    assert {"status", "acts", "order", "row:tales", "samples"} <= first["parts"].keys()
    assert "console" not in first["parts"]
    assert news(at=first["at"])["parts"] == {}
    run.events.append(Begun(total_steps=9))
    run.events.append(step(1))
    second = news(at=first["at"], curves=asked(first["curves"]))
    assert {"row:tales", "status", "end"} <= second["parts"].keys() and "samples" not in second["parts"]
    assert second["curves"]["loss"]["mean"] == [1.0]
    assert news(at=second["at"], log="")["parts"] == {"console": "begin"}
    assert news(at="of another server.3")["parts"].keys() >= first["parts"].keys()


@pytest.fixture
def restless():
    """Threads take turns at every chance."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # seconds
    yield
    sys.setswitchinterval(usual)


def test_who_asks_while_a_board_is_looked_at_gets_all_of_one_look(monkeypatch, restless):
    monkeypatch.setattr("webui.board.FRESH", -1)  # seconds: everything is looked at anew

    class Changing(Board):
        looks = 0

        def _parts_of(self, *_):
            self.looks += 1
            return {f"part {each}": self.looks // each for each in range(1, 200)}

    board, seen, at = Changing("tales"), {}, None
    board.make(list)
    looking = threading.Thread(target=lambda: [board.make(list) for _ in range(3000)])
    looking.start()
    while looking.is_alive():
        answer = json.loads(board.news(Asked(at=at)))
        seen, at = seen | answer["parts"], answer["at"]
        look = int(at.partition(".")[2])
        assert seen == {f"part {each}": look // each for each in range(1, 200)}


@pytest.mark.parametrize(
    "asked",
    [
        {"run": "x" * 10**6},
        {"curves": [1]},
        {"at": "1." + "9" * 5000},
        *({"curves": {"window": each}} for each in (["a", "b"], [1], {"0": 1})),
    ],
)
def test_what_no_page_asks_is_refused_before_anything_is_made_for_it(asked):
    with pytest.raises(ValidationError):
        Asked.model_validate(asked)


@pytest.mark.parametrize(
    "low, high, marks",
    [
        (1.3, 6.2, [1, 2, 3, 4, 5, 6, 7]),
        (0, 150, [0, 50, 100, 150]),
        (0, 0.001, [0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001]),
    ],
)
def test_an_axis_has_round_numbers_around_what_it_shows(low, high, marks):
    assert ticks(low, high, 5) == pytest.approx(marks)


def test_an_axis_of_one_value_is_still_an_axis():
    assert len(ticks(2.0, 2.0, 5)) > 1
