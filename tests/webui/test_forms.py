"""The form is made from the settings, and what it says is what the shell would say."""

import shlex
import time

import pytest

from core import cli, presets
from core.errors import SpecError
from core.spec import merge, settings
from core.verbs.common import spec_of
from webui import forms, pasting
from webui.render import train as render

CHANGES = {
    "model.base": "owner/name",
    "method.kind": "lora",
    "method.target_modules": "q_proj\nv_proj",
    "train.epochs": 2,
    "train.learning_rate": 0.00002,
    "train.batch_size": 8.0,
    "train.packing": "True",
    "train.gradient_checkpointing": "False",
    "train.early_stopping": 3,
    "template.system": "Answer in 'one' line.",
    "evaluate.prompts": "Who are you?\n\n  Where is Alice? ",
    "publish.private": "False",
    "model.tokenizer_contract": "kind=unigram\n pad_id = 0 ",
}


def test_every_setting_has_a_field_but_for_the_files_chosen_elsewhere():
    assert set(forms.form_settings()) | set(render.CHOSEN) == set(settings())
    assert set(render.CHOSEN).isdisjoint(forms.form_settings())


@pytest.mark.parametrize("path", forms.form_settings())
def test_an_empty_field_leaves_its_setting_to_the_preset(path):
    field = forms.field(path, settings()[path])
    assert forms.read({path: forms.empty(field)}) == {}


def test_fields_become_plain_values_of_the_right_kind():
    assert forms.read(CHANGES) == {
        "model": {"base": "owner/name", "tokenizer_contract": {"kind": "unigram", "pad_id": "0"}},
        "method": {"kind": "lora", "target_modules": ["q_proj", "v_proj"]},
        "train": {
            "epochs": 2,
            "learning_rate": 0.00002,
            "batch_size": 8,
            "packing": True,
            "gradient_checkpointing": False,
            "early_stopping": 3,
        },
        "template": {"system": "Answer in 'one' line."},
        "evaluate": {"prompts": ["Who are you?", "Where is Alice?"]},
        "publish": {"private": False},
    }


def test_a_short_name_stands_for_settings_by_name_and_another_is_refused():
    named = presets.resolve("tiny", overrides=forms.read({"model.tokenizer_contract": "sp32k"}))
    assert named.model.tokenizer_contract.vocabulary_size == 32_000
    with pytest.raises(SpecError, match=r"model\.tokenizer_contract"):
        presets.resolve("tiny", overrides=forms.read({"model.tokenizer_contract": "sp64k"}))


def test_a_field_that_no_setting_has_is_passed_over():
    assert forms.read({"train.learning_rat": 1}) == {}


def test_a_fraction_of_a_batch_is_refused_and_not_rounded():
    with pytest.raises(SpecError, match=r"train\.batch_size is 3\.5"):
        presets.resolve("tiny", overrides=forms.read({"train.batch_size": 3.5}))


def test_what_is_out_of_bounds_is_refused_in_the_words_of_the_shell():
    with pytest.raises(SpecError, match=r"train\.epochs is 0: input should be greater than 0"):
        presets.resolve("tiny", overrides=forms.read({"train.epochs": 0}))


def test_each_field_shows_what_the_preset_would_use():
    shown, tiny = forms.as_preset("tiny"), presets.resolve("tiny")
    assert shown["train.epochs"] == {"placeholder": f"{tiny.train.epochs:g}"}
    assert shown["method.kind"]["choices"][0] == (f"{tiny.method.kind} (preset)", forms.AS_PRESET)
    assert shown["publish.private"]["choices"][0] == ("yes (preset)", forms.AS_PRESET)
    assert shown["train.max_steps"] == {"placeholder": "automatic"}


def test_only_what_differs_from_the_preset_is_listed():
    tiny = presets.resolve("tiny").train
    changed = render.changes(
        "tiny", forms.read({"train.epochs": tiny.epochs, "train.batch_size": tiny.batch_size + 1})
    )
    assert changed == [("train.batch_size", str(tiny.batch_size), str(tiny.batch_size + 1))]


CHOSEN = {
    "files": ["my poems.csv", "hf:owner/name?split=test"],
    "held_out_files": ["x.jsonl"],
    "columns": {"question": "Spalte A", "answer": "--answer", "system": "a=b", "difficulty": "[0]"},
    "drop": ["duplicate", "near-duplicate"],
    "weights": [1.0, 2.5],
}


def test_the_command_line_shown_makes_the_same_spec():
    overrides = merge(forms.read(CHANGES), {"data": CHOSEN})
    line = render.command("tiny", overrides)
    assert line.count("poems.csv") == 1
    _, bound, _ = cli.app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)
    told = bound.arguments
    typed = spec_of(told["files"], told["preset"], None, told["settings"])
    assert typed == presets.resolve("tiny", overrides=overrides)


def test_what_is_chosen_of_the_data_is_listed_beside_the_preset():
    shown = render.differences("tiny", {"data": CHOSEN}) + render.summary("tiny", {"data": CHOSEN})
    assert "question=Spalte A, answer=--answer" in shown and "duplicate, near-duplicate" in shown
    assert "owner/name?split=test" in shown


def test_the_yaml_shown_makes_the_same_spec(tmp_path):
    overrides = forms.read(CHANGES)
    file = tmp_path / "mine.yaml"
    file.write_text(render.as_yaml(overrides, "tiny"))
    assert presets.resolve("tiny", file) == presets.resolve("tiny", overrides=overrides)


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_explains_itself_in_a_line(name):
    assert forms.explanation(name).endswith(".")


def test_a_pasted_command_is_read_as_the_shell_reads_it_and_gives_the_same_command_back():
    overrides = merge(forms.read(CHANGES), {"data": CHOSEN})
    line = render.command("small", overrides)
    found = pasting.read(f"$ {line}", "tiny")
    assert found.preset == "small"
    assert presets.resolve("small", overrides=found.settings) == presets.resolve("small", overrides=overrides)
    held = forms.read(forms.written(found.settings))
    again = render.command("small", merge(held, {"data": found.settings["data"]}))
    assert sorted(again.split(" --")) == sorted(line.split(" --"))


def test_fields_hold_what_settings_say_and_say_it_again():
    overrides = forms.read(CHANGES)
    held = forms.written(
        presets.resolve("tiny", overrides=overrides).model_dump(mode="json", exclude_unset=True)
    )
    assert presets.resolve("tiny", overrides=forms.read(held)) == presets.resolve("tiny", overrides=overrides)


def test_the_yaml_shown_can_be_pasted_and_names_its_preset():
    overrides = forms.read(CHANGES)
    found = pasting.read(render.as_yaml(overrides, "small"), "tiny")
    assert found.preset == "small"
    assert presets.resolve("small", overrides=found.settings) == presets.resolve("small", overrides=overrides)


def test_yaml_of_other_programs_is_taken_for_ours_and_says_how():
    found = pasting.read("lora_r: 8\nnum_train_epochs: 2\n", "small")
    assert found.preset == "small"
    assert found.settings == {"method": {"kind": "lora", "rank": 8}, "train": {"epochs": 2}}
    assert "lora_r: 8 -> method.rank: 8" in found.remarks


def test_a_command_over_several_lines_with_a_name_and_without_its_verb():
    found = pasting.read("--train.epochs 2 \\\n  --name mine --force-cpu", "small")
    assert (found.preset, found.name) == ("tiny", "mine")
    assert found.settings == {"train": {"epochs": 2.0}, "compute": {"force_cpu": True}}


@pytest.mark.parametrize(
    "pasted, said",
    [
        ("atelier train --train.epoch 3", "--train.epoch"),
        ("atelier train --train.epochs 0", r"train\.epochs is '0'"),
        ("atelier train --train.batch_size 2 --train.micro_batch_size 4", "train.micro_batch_size"),
        ("atelier train --config mine.yaml", "--config"),
        ("atelier delete poems", "atelier delete"),
        ("atelier train 'half", "no closing quotation"),
        ("train:\n  epoch: 3", "train.epoch"),
        ("lora_q: 3", "lora_q"),
        ("Please train this for me", "neither a command"),
        ("", "nothing to read"),
    ],
)
def test_what_cannot_be_followed_is_a_sentence_that_names_it(pasted, said):
    with pytest.raises(SpecError, match=said):
        pasting.read(pasted, "tiny")


BOMB = "a: &a [x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "pasted, said",
    [
        (BOMB + "train.epochs: *i\n", r"repeats a part by its name, \*a"),
        ("train: " + "[" * 5000, "lists within lists"),
        ("train.epochs: 2001-99-01", "not what it says to be: month must be in"),
        ("train.epochs: " + "9" * 5000, "number of 5,000 digits"),
        ("batch_size: 0x" + "f" * 5000, "number of 5,002 digits"),
        ("train.epochs: !!bool perhaps", "not what it says to be"),
        ("train.epochs: !!timestamp never", "not what it says to be"),
        ("train.epochs: " + "1:" * 1000 + "1.5", "not what it says to be"),
    ],
    ids=["names", "lists", "date", "digits", "hexadecimal", "tag", "time", "sexagesimal"],
)
def test_yaml_made_to_bring_the_page_down_is_a_sentence(pasted, said):
    with pytest.raises(SpecError, match=said) as refused:
        pasting.read(pasted, "tiny")
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "pasted", ["train.epochs: {}", "train: {}", "train:\n  {}: 1", "atelier train --train.epochs {}"]
)
def test_a_long_value_is_cut_in_what_is_said_of_it(pasted):
    with pytest.raises(SpecError) as refused:
        pasting.read(pasted.format("x" * 1000), "tiny")
    assert len(str(refused.value)) < 400


def test_a_preset_is_named_by_the_first_line_alone():
    for pasted in ("# " + "--preset=x" * 4900 + " a\n", "train.epochs: 2\n# Laid over --preset small\n"):
        began = time.monotonic()
        assert pasting.read(pasted, "tiny").preset == "tiny"
        assert time.monotonic() - began < 2


def test_nothing_where_the_preset_has_something_cannot_be_said_by_a_field():
    found = pasting.read("train.learning_rate: null\nmethod:\n  target_modules: []\n", "tiny")
    with pytest.raises(SpecError, match=r"method\.target_modules is empty"):
        forms.written(found.settings)
