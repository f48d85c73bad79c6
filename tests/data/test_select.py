"""Which examples a run trains on and which it measures on."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.data.select import Selected, select
from core.errors import DataError
from core.spec import RunSpec


def write(folder: Path, name: str, count: int, **more) -> str:
    path = folder / name
    rows = (
        {"prompt": f"{name}: what is {at}?", "response": f"The number {at}." + " Really." * at}
        | {key: value(at) for key, value in more.items()}
        for at in range(count)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def selected(**settings) -> Selected:
    return select(RunSpec.from_dict({"data": settings}).data)


def names(part) -> list[str]:
    return [Path(example.source.file).name for example in part]


def test_every_example_is_on_one_side_in_the_order_of_the_files(tmp_path):
    files = [write(tmp_path, "b.jsonl", 30), write(tmp_path, "a.jsonl", 20)]
    chosen = selected(files=files, held_out_fraction=0.2)
    assert (len(chosen.training), len(chosen.held_out)) == (40, 10)
    assert names(chosen.training) == ["b.jsonl"] * 24 + ["a.jsonl"] * 16
    assert chosen.in_both == 0 and not chosen.in_order


def test_files_to_measure_on_leave_the_others_whole(tmp_path):
    files, measured = write(tmp_path, "a.jsonl", 20), write(tmp_path, "m.jsonl", 5)
    chosen = selected(files=[files], held_out_files=[measured])
    assert (len(chosen.training), names(chosen.held_out)) == (20, ["m.jsonl"] * 5)
    assert selected(files=[files], held_out_files=[files]).in_both == 20


def test_a_folder_counts_as_one_data_set_of_a_mix(tmp_path):
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder", "x.jsonl", 30)
    write(tmp_path / "folder", "y.jsonl", 30)
    other = write(tmp_path, "z.jsonl", 40)
    chosen = selected(files=[str(tmp_path / "folder"), other], weights=[0.25, 0.75], held_out_fraction=0.0)
    assert [(share.found, share.used) for share in chosen.shares] == [(60, 25), (40, 75)]
    assert names(chosen.training).count("z.jsonl") == 75


def test_a_mix_has_exactly_the_counts_it_says_and_measures_every_data_set(tmp_path):
    files = [
        write(tmp_path, name, count) for name, count in (("a.jsonl", 200), ("b.jsonl", 50), ("c.jsonl", 10))
    ]
    chosen = selected(files=files, weights=[0.4, 0.4, 0.2], held_out_fraction=0.1, examples=100)
    assert [share.used for share in chosen.shares] == [40, 40, 20]
    assert [names(chosen.training).count(f"{name}.jsonl") for name in "abc"] == [40, 40, 20]
    assert [names(chosen.held_out).count(f"{name}.jsonl") for name in "abc"] == [20, 5, 1]
    assert chosen.in_both == 0
    assert chosen.shares[2].times == pytest.approx(20 / 9)
    again = selected(files=files, weights=[0.4, 0.4, 0.2], held_out_fraction=0.1, examples=100)
    assert list(again.training) == list(chosen.training)
    other = selected(files=files, weights=[0.4, 0.4, 0.2], held_out_fraction=0.1, examples=100, seed=7)
    assert list(other.training) != list(chosen.training)


def test_fewer_examples_than_there_are_are_a_sample_of_every_data_set(tmp_path):
    files = [write(tmp_path, "a.jsonl", 90), write(tmp_path, "b.jsonl", 30)]
    chosen = selected(files=files, held_out_fraction=0.0, examples=40)
    assert [share.used for share in chosen.shares] == [30, 10]
    assert len(set(chosen.training.digests.tolist())) == 40


def test_a_curriculum_goes_from_short_to_long(tmp_path):
    chosen = selected(files=[write(tmp_path, "a.jsonl", 80)], order="length", stages=4, held_out_fraction=0.0)
    stages = np.array_split(chosen.training.sizes, 4)
    assert chosen.in_order
    assert all(before.max() <= after.min() for before, after in zip(stages, stages[1:], strict=False))


def test_a_curriculum_goes_by_a_column_of_difficulty(tmp_path):
    file = write(tmp_path, "a.jsonl", 40, level=lambda at: 40 - at)
    chosen = selected(
        files=[file], order="difficulty", stages=40, columns={"difficulty": "level"}, held_out_fraction=0.0
    )
    assert [example.value for example in chosen.training] == [float(at) for at in range(1, 41)]
    with pytest.raises(DataError, match="name its column in data.columns.difficulty"):
        selected(files=[file], order="difficulty")


def test_rows_with_a_warning_are_left_out_on_request_and_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"What is {at % 4}?", "response": f"The number {at % 4}."} for at in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(selected(files=[str(path)], held_out_fraction=0.0).training) == 12
    chosen = selected(files=[str(path)], held_out_fraction=0.0, drop=["duplicate"])
    assert [example.source.line for example in chosen.training] == [1, 2, 3, 4]
    assert chosen.reports[0].dropped == {"duplicate": 8}
    with pytest.raises(DataError, match="There is no warning 'duplicates'.* duplicate"):
        selected(files=[str(path)], drop=["duplicates"])


def test_questions_of_a_test_set_are_found_and_can_be_left_out(tmp_path):
    mine, test = write(tmp_path, "a.jsonl", 20), tmp_path / "test.jsonl"
    test.write_text(json.dumps({"prompt": "A.JSONL, what is 7", "response": "?"}) + "\n")
    chosen = selected(files=[mine], against=[str(test)])
    assert [(each.source.line, each.code) for each in chosen.reports[0].problems] == [(8, "in-benchmark")]
    left = selected(files=[mine], against=[str(test)], drop=["in-benchmark"], held_out_fraction=0.0)
    assert len(left.training) == 19


def test_data_that_changed_since_a_run_began_are_refused(tmp_path):
    file = write(tmp_path, "a.jsonl", 20)
    chosen = selected(files=[file])
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"data": chosen.sha256}))
    chosen.check(manifest)
    write(tmp_path, "a.jsonl", 21)
    with pytest.raises(DataError, match="a.jsonl has changed since this run began"):
        selected(files=[file]).check(manifest)


def test_files_that_came_to_a_folder_or_left_it_are_a_change(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder, "a.jsonl", 20)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"data": selected(files=[str(folder)]).sha256}))
    write(folder, "b.jsonl", 20)
    with pytest.raises(DataError, match="b.jsonl has changed since this run began, or was not there"):
        selected(files=[str(folder)]).check(manifest)
    (folder / "a.jsonl").unlink()
    (folder / "b.jsonl").rename(folder / "a.jsonl")
    with pytest.raises(DataError, match="a.jsonl has changed"):
        selected(files=[str(folder)]).check(manifest)


def test_a_test_set_needs_no_answers(tmp_path):
    mine, test = write(tmp_path, "a.jsonl", 20), tmp_path / "test.csv"
    test.write_text("id,question\n1,a.jsonl: WHAT IS 7\n")
    chosen = selected(files=[mine], against=[str(test)])
    assert [(each.source.line, each.code) for each in chosen.reports[0].problems] == [(8, "in-benchmark")]
    test.write_text("id,colour\n1,red\n")
    with pytest.raises(DataError, match="No question was found in .*test.csv, which data.against names"):
        selected(files=[mine], against=[str(test)])
