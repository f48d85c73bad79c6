"""Settings arrive as the same RunSpec whichever way they were given, and a wrong one is refused with a way out."""

import pytest
import yaml

from core import presets
from core.cli import app
from core.errors import SpecError
from core.runs import RunStore
from core.spec import RunSpec, merge, settings


@pytest.mark.parametrize(
    "values, words",
    [
        (
            {"train": {"learning_rat": 1}},
            "There is no setting 'train.learning_rat'. Did you mean 'train.learning_rate'?",
        ),
        ({"trian": {}}, "Did you mean 'train'?"),
        ({"train": {"learning_rate": "fast"}}, "train.learning_rate is 'fast'"),
        ({"train": {"epochs": -1}}, "greater than 0"),
        ({"method": {"kind": "lorra"}}, "Did you mean 'lora'?"),
        (
            {"train": {"batch_size": 4, "micro_batch_size": 5}},
            "train.micro_batch_size (5) is more than train.batch_size (4)",
        ),
        ({"method": {"kind": "full"}, "publish": {"to": "a/b"}}, "set publish.what to merged"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_way_out(values, words):
    with pytest.raises(SpecError) as refusal:
        RunSpec.from_dict(values)
    assert words in str(refusal.value)


def test_every_wrong_setting_is_named_not_only_the_first():
    with pytest.raises(SpecError) as refusal:
        RunSpec.from_dict({"train": {"epochs": 0, "batch_size": "many"}})
    assert "train.epochs" in str(refusal.value) and "train.batch_size" in str(refusal.value)


def test_a_saved_spec_loads_as_itself(tmp_path):
    spec = presets.resolve(
        "tiny", overrides={"data": {"files": ["é.jsonl"]}, "template": {"system": "Réponds."}}
    )
    spec.save(tmp_path / "spec.yaml")
    assert RunSpec.load(tmp_path / "spec.yaml") == spec


def test_yaml_and_flags_give_the_same_spec(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "train:\n  epochs: 3\n  learning_rate: 5e-4\nmethod:\n  target_modules: [q_proj]\n"
    )
    flags = ["--train.epochs", "3", "--train.learning-rate", "5e-4", "--method.target-modules", "q_proj"]
    _, bound, _ = app.parse_args(["train", "x.jsonl", *flags], exit_on_error=False)
    given = bound.arguments["settings"].model_dump(exclude_unset=True)
    assert presets.resolve("tiny", tmp_path / "mine.yaml") == presets.resolve("tiny", overrides=given)


def test_flags_lie_over_yaml_and_yaml_over_the_preset(tmp_path):
    (tmp_path / "mine.yaml").write_text("train:\n  epochs: 3\n  batch_size: 4\n")
    spec = presets.resolve("tiny", tmp_path / "mine.yaml", {"train": {"batch_size": 2}})
    assert (spec.train.epochs, spec.train.batch_size) == (3, 2)
    assert spec.model.base == "fable"


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_holds_only_what_differs_from_the_defaults(name):
    values = yaml.safe_load((presets.PRESETS / f"{name}.yaml").read_text("utf-8"))
    default, spec = RunSpec().model_dump(), RunSpec.from_dict(values).model_dump()
    same = [f"{s}.{k}" for s, each in values.items() for k in each if default[s][k] == spec[s][k]]
    assert same == [] or set(same) <= {"model.base", "method.kind"}


def test_every_setting_explains_itself():
    assert [
        path for path, info in settings().items() if not (info.description or "").endswith((".", ")"))
    ] == []


def test_a_section_with_nothing_under_it_changes_nothing(tmp_path):
    (tmp_path / "mine.yaml").write_text("train:\n  # epochs: 3\n")
    assert presets.resolve("tiny", tmp_path / "mine.yaml") == presets.resolve("tiny")


def test_one_file_may_stand_without_brackets(tmp_path):
    (tmp_path / "mine.yaml").write_text("data:\n  files: poems.jsonl\n")
    assert presets.resolve("tiny", tmp_path / "mine.yaml").data.files == ("poems.jsonl",)


def test_a_runs_settings_mean_the_same_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "poems.jsonl").touch()
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    spec = presets.resolve(
        overrides={"data": {"files": ["poems.jsonl", "sample:fables-en"]}, "model": {"base": "model"}}
    )
    made = RunStore(tmp_path / "runs").create("a", spec)
    monkeypatch.chdir("/")
    assert made.spec.data.files == (str(tmp_path / "poems.jsonl"), "sample:fables-en")
    assert made.spec.model.base == str(tmp_path / "model")
    assert presets.anchored(presets.resolve("small")).model.base == "HuggingFaceTB/SmolLM2-135M"


def test_a_list_is_replaced_whole_not_merged():
    assert merge({"data": {"files": ["a", "b"]}}, {"data": {"files": ["c"]}}) == {"data": {"files": ["c"]}}


@pytest.mark.parametrize("text, words", [("- a\n- b", "must hold sections"), ("a: [", "is not YAML")])
def test_a_settings_file_that_is_none_is_refused(tmp_path, text, words):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SpecError, match=words):
        presets.resolve("tiny", tmp_path / "mine.yaml")


@pytest.mark.parametrize("name", ["sample:nothing", "sample:../../etc/passwd", "sample:"])
def test_a_sample_that_is_not_built_in_is_refused_with_those_that_are(name):
    with pytest.raises(SpecError, match="sample:fables-en, sample:fables-fr"):
        presets.data_file(name)


def test_a_task_of_ones_own_means_the_same_file_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quiz.yaml").write_text("")
    (tmp_path / "general").mkdir()
    spec = presets.anchored(
        presets.resolve("tiny", overrides={"evaluate": {"tasks": ("quiz.yaml", "general")}})
    )
    assert spec.evaluate.tasks == (str(tmp_path / "quiz.yaml"), "general")
