"""Nothing is called exported before it was opened again and compared; what was compared is known, and of which weights."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.cli import main
from core.errors import PublishError
from core.publish import export as exporting
from core.publish import parity
from core.publish.export import export
from core.publish.gguf.formats import format_named
from core.publish.gguf.reading import Stored
from core.publish.gguf.shapes import Shape
from core.publish.gguf.write import said_of, write
from core.runs import Run, RunStore
from core.runs.jobs import child_environment
from core.text.load import load_text
from tests.evaluate.inside import work_inside
from tests.publish.tiny import base, byte_level, trained_on

FEW = 4  # new tokens of each answer, where the answers are nothing to the claim


@pytest.fixture(scope="module")
def pattern(trained_runs, tmp_path_factory) -> Run:
    """A run in Llama 3's manner, merged and exported; to be copied."""
    folder = tmp_path_factory.mktemp("pattern")
    tokenizer = byte_level("llama-bpe")
    run = trained_on(
        RunStore(folder / "runs"), trained_runs.get("lora"), base(folder / "base", "llama", tokenizer)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "NEW_TOKENS", FEW)
        export(run, ["q8_0"])
    return run


@pytest.fixture
def exported(pattern, store, monkeypatch) -> Run:
    monkeypatch.setattr(parity, "NEW_TOKENS", FEW)
    return Run(shutil.copytree(pattern.folder, store.root / "tiny"))


@pytest.fixture
def tiny(exported) -> Run:
    """Only merged."""
    shutil.rmtree(exported.folder / "gguf")
    return exported


def test_a_trained_run_is_exported_and_says_the_same(merged, tmp_path, monkeypatch, capsys):
    work_inside(monkeypatch)
    monkeypatch.setattr(parity, "NEW_TOKENS", 8)
    run = Run(shutil.copytree(merged.folder, tmp_path / "runs" / merged.name))
    words = ["export", run.name, "--quantization", "bf16", "--ollama", "--output-dir", str(tmp_path / "out")]
    assert main([*words, "--runs", str(run.folder.parent)]) == 0, run.console.read_text()[-2000:]
    assert "7 conversations give the same tokens" in capsys.readouterr().out
    found = parity.read(run)
    assert [each.format for each in found.formats] == ["merged", "bf16"]
    checked = found.of("bf16")
    assert (
        checked.noise < 1e-5 and checked.same_answers == 5 and any(answer.got for answer in checked.answers)
    )
    assert (
        "an accent that follows its letter" in checked.limits[0]
    )  # the tokenizer's NFKC, which llama.cpp lacks
    assert found.refusal(run, "bf16") is None and found.refusal(run, "merged") is None
    name = f"{run.name}-bf16.gguf"
    assert {path.name for path in (run.folder / "gguf").iterdir()} == {name, "Modelfile"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {name, "Modelfile"}
    assert parity.digest(tmp_path / "out" / name) == checked.sha256
    modelfile = (run.folder / "gguf" / "Modelfile").read_text()
    assert f"FROM ./{name}\n" in modelfile and 'PARAMETER stop "<|im_end|>"' in modelfile
    assert "<|im_end|> " in modelfile, (
        "this tokenizer reads a line break as a space, and llama.cpp's does not"
    )


def test_a_file_of_a_llama_3_begins_texts_once(exported):
    stored = Stored(exported.folder / "gguf" / "tiny-q8_0.gguf")
    assert stored.says["tokenizer.ggml.add_bos_token"] is True
    first = stored.says["tokenizer.ggml.bos_token_id"]
    ids = stored.ids("<|begin_of_text|>Hello<|eot_id|>")
    assert ids[0] == first and ids.count(first) == 1 and ids == stored.ids("Hello<|eot_id|>")


def test_a_template_that_asks_otherwise_fails_with_both_sides_shown(tiny, monkeypatch):
    wrong = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    monkeypatch.setattr("core.publish.gguf.vocabulary.chat_template", lambda tokenizer: wrong)
    with pytest.raises(
        PublishError, match="as other tokens than the model was trained with, from the 2th on"
    ) as failed:
        export(tiny, ["f16"])
    assert "'<|start_header_id|>'" in str(failed.value) and "read [" in str(failed.value)
    assert not (tiny.folder / "gguf").exists() and not (tiny.folder / ".gguf").exists()
    found = parity.read(tiny)
    assert found.of("f16").mismatch == str(failed.value) and not found.of("f16").passed
    assert found.refusal(tiny, "f16") == str(failed.value)


def test_tokens_joined_in_another_order_fail(tiny, monkeypatch):
    real = exporting.vocabulary_of

    def otherwise(*arguments):
        vocabulary = real(*arguments)
        return exporting.replace(vocabulary, merges=vocabulary.merges[::-1])

    monkeypatch.setattr(exporting, "vocabulary_of", otherwise)
    with pytest.raises(PublishError, match="as other tokens"):
        export(tiny, ["f16"])


def test_weights_that_lie_otherwise_fail_although_every_byte_is_as_written(tiny, monkeypatch):
    monkeypatch.setattr("core.publish.gguf.shapes.Shape.laid_out", lambda shape, name, weight: weight)
    with pytest.raises(
        PublishError, match=r"logits differ from the model's by \d+\.\d+%, and its format explains 0.10%"
    ):
        export(tiny, ["f16"])
    assert parity.read(tiny).of("f16").noise > 0.05 and not (tiny.folder / "gguf").exists()


def test_a_file_that_does_not_hold_what_was_written_fails(tiny, monkeypatch):
    def careless(folder, target, *others):
        written = write(folder, target, *others)
        target.write_bytes(target.read_bytes()[:-2000] + bytes(2000))
        return written

    monkeypatch.setattr("core.publish.export.write", careless)
    with pytest.raises(PublishError, match="was written as"):
        export(tiny, ["q8_0"])
    assert not (tiny.folder / "gguf").exists()


def test_a_file_that_says_otherwise_of_a_token_fails_although_it_is_read_alike(tiny, monkeypatch):
    def otherwise(folder, target, format, vocabulary, *others):
        return write(folder, target, format, replace(vocabulary, padding=vocabulary.padding + 1), *others)

    monkeypatch.setattr("core.publish.export.write", otherwise)
    with pytest.raises(PublishError, match="tokenizer.ggml.padding_token_id"):
        export(tiny, ["q8_0"])


def test_a_file_that_says_otherwise_of_the_models_shape_fails_although_it_answers_alike(tiny, monkeypatch):
    real = Shape.metadata

    def otherwise(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Shape, "metadata", lambda shape: real(shape) | {"attention.value_length": 8})
            return write(*arguments)

    monkeypatch.setattr("core.publish.export.write", otherwise)
    with pytest.raises(PublishError, match="says '8' as llama.attention.value_length"):
        export(tiny, ["q8_0"])


def test_a_file_that_has_the_engine_end_every_question_fails(tiny, monkeypatch):
    for module in ("export", "gguf.write"):
        monkeypatch.setattr(
            f"core.publish.{module}.said_of",
            lambda vocabulary: said_of(vocabulary) | {"ggml.add_eos_token": True},
        )
    with pytest.raises(PublishError, match="as other tokens"):
        export(tiny, ["f16"])


def test_one_other_token_among_as_many_is_a_difference(exported):
    text = load_text(exported.spec)

    def reads(messages):
        ids = text.template.prompt_ids(messages, text.tokenizer)
        return ids if len(messages) == 1 else [*ids[:-1], ids[0]]

    with pytest.raises(PublishError, match="The copy reads the conversation “several turns” as other tokens"):
        parity.compare_ids(text, reads, "The copy")


def test_a_failed_export_leaves_the_earlier_file(exported, monkeypatch):
    before = parity.digest(exported.folder / "gguf" / "tiny-q8_0.gguf")
    monkeypatch.setattr("core.publish.gguf.shapes.Shape.laid_out", lambda shape, name, weight: weight)
    with pytest.raises(PublishError):
        export(exported, ["q8_0"])
    assert parity.digest(exported.folder / "gguf" / "tiny-q8_0.gguf") == before
    assert parity.read(exported).refusal(exported, "q8_0")


def test_what_was_compared_is_known_by_its_weights(exported):
    found = parity.read(exported)
    assert found.refusal(exported, "q8_0") is None
    assert "was not compared" in found.refusal(exported, "f16")
    parity.record(exported, replace(found.of("q8_0"), format="f16"))
    assert parity.read(exported).refusal(exported, "f16") is None
    file = exported.folder / "gguf" / "tiny-q8_0.gguf"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"\x55")
    assert "is not what was compared" in found.refusal(exported, "q8_0")
    file.write_bytes(whole)
    adapter = exported.final / "adapter_model.safetensors"
    weights = load_file(adapter)
    save_file({name: weight + 1e-3 for name, weight in weights.items()}, adapter)
    assert "other weights than final/ has now" in found.refusal(exported, "q8_0")
    export(exported, ["q8_0"])  # merged anew
    again = parity.read(exported)
    assert again.model != found.model and again.refusal(exported, "q8_0") is None
    assert "was not compared" in again.refusal(exported, "f16"), "compared with the weights of before"


@pytest.mark.parametrize(
    "shape, settings, untold",
    [
        ("llama", {}, False),
        ("llama", {"attention_bias": True}, True),
        ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}, True),
        ("qwen2", {}, False),
        ("qwen3", {}, True),
    ],
)
def test_what_is_taken_from_the_model_itself_is_said_not_to_be_compared(
    tmp_path, monkeypatch, shape, settings, untold
):
    tokenizer = byte_level("gpt-2")
    folder = base(tmp_path / "model", shape, tokenizer, **settings)
    text = SimpleNamespace(tokenizer=tokenizer)
    comparing = exporting._Export(Run(tmp_path / "tiny"), folder, text, None)
    silent = parity.Voice(torch.eye(3), ("",) * len(parity.PROMPTS))
    for name in ("Stored", "listen"):
        monkeypatch.setattr(exporting, name, lambda *_: silent)
    for name, found in (("gguf_reads", None), ("compare_ids", (7, ())), ("unlike", ())):
        monkeypatch.setattr(parity, name, lambda *_, found=found: found)
    monkeypatch.setattr(exporting._Export, "_load", lambda *_: None)
    (file := tmp_path / "tiny-f16.gguf").write_bytes(b"GGUF")
    checked = comparing._compared(file, format_named("f16"))
    assert checked.passed and (exporting.UNTOLD in checked.limits) is untold


def test_a_merged_folder_that_was_touched_is_made_again(exported):
    template = exported.folder / "merged" / "chat_template.jinja"
    template.write_text("nonsense")
    export(exported, ["q4_0"])
    assert template.read_text() != "nonsense"
    assert {each.format for each in parity.read(exported).formats} == {"merged", "q8_0", "q4_0"}


def test_noise_is_a_share_of_the_logits_spread_and_blind_to_what_is_added_to_all():
    torch.manual_seed(0)
    wanted = torch.randn(50, 1000) * 3
    assert parity.noise(wanted, wanted + 7) < 1e-6
    assert parity.noise(wanted, wanted + 0.3 * torch.randn(50, 1000)) == pytest.approx(0.1, rel=0.05)


CONVERTER = """
import pathlib, shutil, sys
if "{mode}" == "fail":
    print("Model architecture not supported: Sphinx")
    sys.exit(1)
import os
assert "hf_secret" not in os.environ.values()
pathlib.Path(__file__).with_name("asked").write_text(sys.argv[sys.argv.index("--outtype") + 1])
assert pathlib.Path(sys.argv[1], "config.json").is_file()
shutil.copy("{file}", sys.argv[sys.argv.index("--outfile") + 1])
"""


@pytest.fixture
def checkout(tmp_path):
    def checkout(mode: str, file: Path | str = "") -> str:
        folder = tmp_path / "llama.cpp"
        folder.mkdir(exist_ok=True)
        (folder / "convert_hf_to_gguf.py").write_text(CONVERTER.format(mode=mode, file=file))
        return str(folder)

    return checkout


def test_a_checkouts_converter_is_asked_and_what_it_makes_is_compared(
    exported, checkout, tmp_path, monkeypatch
):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, "hf_secret")
    made = shutil.copy(exported.folder / "gguf" / "tiny-q8_0.gguf", tmp_path / "made.gguf")
    export(exported, ["q8_0"], llama_cpp=checkout("copy", made))
    assert parity.read(exported).refusal(exported, "q8_0") is None
    assert (tmp_path / "llama.cpp" / "asked").read_text() == "q8_0"
    with pytest.raises(PublishError, match="its format explains 0.10%"):
        export(exported, ["f16"], llama_cpp=checkout("copy", made))


def test_a_checkout_that_cannot_is_told_of_in_a_sentence(tiny, checkout, tmp_path):
    with pytest.raises(PublishError, match="Model architecture not supported: Sphinx"):
        export(tiny, ["f16"], llama_cpp=checkout("fail"))
    with pytest.raises(PublishError, match="llama-quantize"):
        export(tiny, ["q4_0"], llama_cpp=checkout("copy"))
    with pytest.raises(PublishError, match="no convert_hf_to_gguf.py in"):
        export(tiny, ["f16"], llama_cpp=str(tmp_path))


def test_the_formats_are_listed_and_a_wrong_one_is_refused_before_any_work(lora_run, capsys):
    def atelier(*arguments: str, status: int = 0) -> tuple[str, str]:
        assert main(["export", *arguments, "--runs", str(lora_run.folder.parent)]) == status
        return capsys.readouterr()

    listed = json.loads(atelier("lora", "--list", "--json")[0])["formats"]
    assert [each["name"] for each in listed][:4] == ["f32", "bf16", "f16", "q8_0"]
    assert listed[1]["bytes"] == pytest.approx(13.6e6, rel=0.03) and "7." in atelier("lora", "--list")[0]
    assert "choose from" in atelier("lora", "--quantization", "q4_k", status=2)[1]


def test_the_report_can_be_read_without_torch(exported):
    code = (
        "import sys; from pathlib import Path; from core.runs import Run; from core.publish import parity, gguf; "
        f"run = Run(Path({str(exported.folder)!r})); found = parity.read(run); "
        "print(found.refusal(run, 'q8_0'), gguf.formats()[0], [each for each in ('torch', 'transformers', 'gguf') if each in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=child_environment()
    )
    assert done.stdout.strip() == "None f32 []", done.stderr
    (exported.reports / "parity.json").write_text('{"formats": 3}')
    assert parity.read(exported) is None
