"""The Compare page's parts: what people and models wrote stays text, and nothing is claimed that is not so."""

import re
from dataclasses import replace

from core.compare.decision import decide
from core.compare.page import differences as on_paper
from core.compare.retrieval import (
    PAIRS,
    WAYS,
    Comparison,
    Measured,
    Price,
    Row,
    Said,
    Settings,
    Shown,
    difference,
)
from core.compare.runs import Cell, Compared, Cost, Curve, Line, Point
from core.evaluate.report import Interval
from webui.compare import against_retrieval, side_by_side, stamp
from webui.render import compare as render

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
TAG = re.compile(r"<img src=x", re.IGNORECASE)
CELL = Cell(Interval(0.5, 0.4, 0.6), Interval(0.2, 0.1, 0.3), 24)
CURVE = Curve((Point(1, 100, 2.0, 3.0), Point(2, 200, 4.0, 2.0)), (Point(2, 200, 5.0, 2.5),))


def compared(*names: str, best: str = "", unlike: str = "") -> Compared:
    cells = {name: replace(CELL, best=name == best) for name in names}
    return Compared(
        runs=names, order="As named.", lines=(Line("qa", HOSTILE, "f1", "F1", "words", True, True, cells, unlike),),
        curves=dict.fromkeys(names, CURVE), differing={"train.epochs": dict.fromkeys(names, HOSTILE)},
        costs=dict.fromkeys(names, Cost(4.0, 200, 2, 10**9, "cpu", None)), held_out=dict.fromkeys(names, 2.5), remarks=(HOSTILE,),
    )  # fmt: skip


def found(n: int = 20) -> Comparison:
    ways = {way: Interval(0.1, 0.0, 0.2) for way in WAYS}
    clear = {
        difference(*pair): Interval(0.4, 0.3, 0.5, n)
        if pair[0] == "tuned"
        else Interval(-0.1, -0.2, -0.05, n)
        if pair == ("tuned with passages", "tuned")
        else Interval(0.0, -0.1, 0.1, n)
        for pair in PAIRS
    }
    measured = Measured("f1", "F1", "words in common", ways, clear)
    prices = dict.fromkeys(WAYS, Price(20, 5, 0.2, 0.4))
    said = dict.fromkeys(WAYS, Said(HOSTILE, 20, 5, "length"))
    row = Row("q.jsonl:1", HOSTILE, HOSTILE, (3,), True, said, {"f1": dict.fromkeys(WAYS, 0.1)})
    return Comparison(
        "run", "fable", 0.0, Settings("q.jsonl", 4, 512, 40, "policy", {}, 2000, 0.95, 2, "cpu"), {"a.md": "0"}, 9, n, n, 4, 3,
        (measured,), prices, 60.0, decide(measured, n, prices, 2), (row,) * n, {3: Shown("/kept/0a/a.md", 4, 5, HOSTILE)}, (HOSTILE,),
    )  # fmt: skip


def test_whatever_is_written_in_runs_and_answers_stays_text():
    pages = [
        render.scores(compared("a", "b")), render.curves(compared(HOSTILE, "b"), "step"), render.settings_and_cost(compared("a", "b")),
        render.retrieval(found()), on_paper(found()),
    ]  # fmt: skip
    assert not any(TAG.search(page) for page in pages)


def test_only_the_clearly_best_is_called_best():
    assert render.scores(compared("a", "b", best="b")).count(">best<") == 1
    assert ">best<" not in render.scores(compared("a", "b"))


def test_each_run_of_many_has_a_look_of_its_own():
    drawn = render.curves(compared(*"abcdefgh"), "time")
    looks = set(re.findall(r'class="line" stroke="([^"]+)" stroke-dasharray="([^"]*)"', drawn))
    assert len(looks) == 8


def test_a_difference_is_coloured_only_where_zero_is_left_out():
    drawn = render.differences(found())
    assert drawn.count('class="value" stroke="var(--viridian)"') == 2
    assert drawn.count('class="value" stroke="var(--madder)"') == 1
    assert drawn.count('class="value" stroke="var(--edge)"') == 3


def test_the_decision_stands_first_and_what_it_rests_on_below():
    page = render.retrieval(found())
    assert (
        page.index("Fine-tune: the tuned model alone")
        < page.index("Differences in F1")
        < page.index("Four ways")
    )
    assert "the first" not in page
    assert "the first 40 of 50" in render.retrieval(found(50))


def test_one_run_alone_is_asked_for_another(store):
    assert "two runs or more" in side_by_side((), (), "step")[0]


def test_a_report_of_somebody_else_is_said_and_breaks_nothing(store):
    from tests.conftest import quick

    run = store.create("strange", quick())
    assert against_retrieval(run, stamp(run)) == ""
    run.reports.mkdir()
    (run.reports / "retrieval.json").write_text("{}")
    assert "delete it and compare the run again" in against_retrieval(run, stamp(run))
