"""The list of runs, as a shell shows it, pipes it, and hands it to programs."""

import json
import re

import pytest

from core.cli import main
from core.runs import Run
from core.runs.events import Begun, Queued, Started, Stopped
from core.show import runs_table
from tests.conftest import quick

LONG = "a-run-with-a-name-that-says-in-much-detail-what-was-tried-in-it"


def stopped(run: Run) -> Run:
    for event in (
        Queued(act="train"),
        Started(act="train", pid=1),
        Begun(total_steps=1200),
        Stopped(act="train"),
    ):
        run.events.append(event)
    return run


@pytest.fixture
def two(store) -> list[Run]:
    hub = {"model": {"base": "HuggingFaceTB/SmolLM2-135M-Instruct"}, "method": {"kind": "rslora"}}
    return [stopped(store.create(LONG, quick(hub), "small")), stopped(store.create("tales", quick(), "tiny"))]


def shown(runs: list[Run]) -> list[str]:
    return runs_table([(run, run.progress()) for run in runs]).splitlines()


def test_the_table_says_base_model_method_and_preset_and_fits_100_columns(two, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    head, *rows = (line for line in map(plain, shown(two)))
    assert "base model" in head and head.endswith("held out")
    assert all(len(line) <= 100 for line in (head, *rows))
    assert rows[0].startswith("a-run-with-a-name-that-says") and "…" in rows[0] and "SmolLM2-1" in rows[0]
    assert rows[0].split()[-3:] == ["rslora", "small", "0/1200"]
    assert rows[1].split() == ["tales", "stopped", "fable", "full", "tiny", "0/1200"]


def test_piped_every_name_is_whole_on_a_line_of_its_own(two, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    _, *rows = shown(two)
    assert [row.split()[0] for row in rows] == [LONG, "tales"]
    assert "SmolLM2-135M-Instruct" in rows[0] and not any(row.endswith(" ") for row in rows)


def test_programs_are_told_the_same(two, store, capsys):
    assert main(["runs", "--runs", str(store.root), "--json"]) == 0
    told = {each["run"]: each for each in json.loads(capsys.readouterr().out)["runs"]}
    assert [told["tales"][name] for name in ("base_model", "method", "preset")] == ["fable", "full", "tiny"]


def test_a_run_whose_settings_are_those_of_another_version_is_listed_all_the_same(store):
    run = stopped(store.create("old", quick()))
    (run.folder / "spec.yaml").write_text("train: {warp: 9}")
    assert shown([run])[1].split() == ["old", "stopped", "0/1200"]


def plain(line: str) -> str:
    """Without the codes that set bold type."""
    return re.sub(r"\x1b\[[\d;]*m", "", line)
