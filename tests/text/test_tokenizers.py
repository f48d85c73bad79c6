"""Where a tokenizer may come from; and that there is no other one where it cannot be had."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor
from transformers import PreTrainedTokenizerFast

from core.errors import TextError
from core.text.tokenizers import load_tokenizer
from tests.hub import Hub
from tests.hub.store import File

LINE = "Il était une fois  un renard.\n</s>"


@pytest.fixture
def saved(make_tokenizer, tmp_path) -> Path:
    """A folder as save_pretrained leaves it."""
    folder = tmp_path / "saved"
    make_tokenizer("gpt2-like").save_pretrained(folder)
    return folder


def refusal(source: object) -> str:
    with pytest.raises(TextError) as caught:
        load_tokenizer(str(source))
    return str(caught.value)


def test_a_sentencepiece_file_is_loaded_by_its_path(train_spm):
    path = train_spm()
    tokenizer = load_tokenizer(str(path))
    assert tokenizer("renard").input_ids == SentencePieceProcessor(model_file=str(path)).encode("renard")


@pytest.mark.parametrize("name", ["tokenizer.model", "spm.model"])
def test_a_folder_with_nothing_but_a_sentencepiece_file_is_loaded_from_it(train_spm, tmp_path, name):
    shutil.copy(train_spm(), tmp_path / name)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert load_tokenizer(str(tmp_path))(LINE) == load_tokenizer(str(train_spm()))(LINE)


def test_a_saved_folder_gives_back_what_was_saved(saved, make_tokenizer):
    tokenizer = load_tokenizer(str(saved))
    assert tokenizer.is_fast and tokenizer(LINE).input_ids == make_tokenizer("gpt2-like")(LINE).input_ids
    assert tokenizer.eos_token == "<|endoftext|>"


def test_a_folder_with_both_is_loaded_as_it_was_saved(saved, train_spm):
    shutil.copy(train_spm(), saved / "tokenizer.model")
    assert load_tokenizer(str(saved)).eos_token == "<|endoftext|>"


def test_a_folder_that_names_a_models_class_is_loaded_by_transformers(make_tokenizer, tmp_path):
    folder = tmp_path / "qwen"
    make_tokenizer("qwen-like").save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "Qwen2Tokenizer"}))
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer("Who?").input_ids == make_tokenizer("qwen-like")("Who?").input_ids


def test_what_is_saved_again_names_no_place_of_this_machine(saved, tmp_path):
    load_tokenizer(str(saved)).save_pretrained(tmp_path / "again")
    for file in (tmp_path / "again").iterdir():
        text = file.read_text("utf-8")
        assert str(saved) not in text and not {"is_local", "local_files_only"} & json.loads(text).keys()


# What is refused


def test_a_slow_tokenizer_is_refused_and_none_is_guessed(train_spm, tmp_path):
    shutil.copy(train_spm(), tmp_path / "tokenizer.model")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "LlamaTokenizer", "add_bos_token": true}'
    )
    assert "only a slow tokenizer" in refusal(tmp_path)


@pytest.mark.filterwarnings("ignore:Recommended")
def test_a_class_that_has_no_fast_form_is_refused(train_spm, tmp_path):
    for name in ("source.spm", "target.spm"):
        shutil.copy(train_spm(), tmp_path / name)
    (tmp_path / "vocab.json").write_text('{"<unk>": 0, "</s>": 1, "<pad>": 2, "a": 3}')
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer"}')
    assert "only a slow tokenizer" in refusal(tmp_path)


def test_a_tokenizer_with_code_of_its_own_is_refused_and_its_code_does_not_run(saved, tmp_path):
    (saved / "tokenizer.json").unlink()
    (saved / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    (saved / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["mine.Mine", null]}}')
    assert "code of its own, which is never run here" in refusal(saved)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": {"type": "BPE"}}', "\x00"])
def test_a_damaged_tokenizer_is_refused(saved, content):
    (saved / "tokenizer.json").write_text(content)
    assert "cannot be loaded" in refusal(saved)


def test_a_damaged_configuration_is_refused(saved):
    (saved / "tokenizer_config.json").write_text("{")
    assert "cannot be loaded" in refusal(saved)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert "has no tokenizer" in refusal(tmp_path)


@pytest.mark.parametrize("source", ["./none", "/none/at/all", "~/none", "a/b/c", "none.model"])
def test_a_path_that_is_not_there_is_refused_without_asking_the_hub(source):
    sentence = refusal(source)
    assert "There is no file or folder" in sentence or "No such file" in sentence


def test_another_file_is_refused(saved):
    assert "is no tokenizer" in refusal(saved / "tokenizer.json")


def test_a_name_that_cannot_be_on_the_hub_is_refused():
    assert "neither a file nor a folder here, nor a name on the Hub" in refusal("my tokenizer!")


# The Hub


LOAD = """
import sys
from core.errors import TextError
from core.text.tokenizers import load_tokenizer
for wanted in sys.argv[1:]:
    name, _, revision = wanted.partition("@")
    try:
        print(load_tokenizer(name, revision or None)("a</s>b").input_ids)
    except TextError as error:
        print(error)
"""


def load(hub: Hub, *wanted: str, token: str | None = None, **environment: str) -> list[str]:
    """Ids or refusal for each name@revision, in an interpreter of its own that takes `hub` for the Hub."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *wanted],
        env=os.environ | hub.environment(token) | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def files(folder: Path) -> dict[str, File]:
    return {path.name: File(path.read_bytes()) for path in folder.iterdir()}


def test_a_model_of_the_hub_is_loaded_by_its_name_and_revision(hub, saved, make_tokenizer, train_spm):
    weights = {"model.safetensors": File(b"x" * 1000)}
    repo = hub.add_repo("ada/gpt", private=False)
    repo.commit("main", weights, "Weights only", author="ada")
    repo.commit("v2", files(saved) | weights, "All", author="ada")
    raw = {"tokenizer.model": File(train_spm().read_bytes())}
    hub.add_repo("ada/raw", private=False).commit("main", raw, "", author="ada")
    first, second, third = load(hub, "ada/gpt@v2", "ada/raw", "ada/gpt")
    assert first == str(make_tokenizer("gpt2-like")("a</s>b").input_ids)
    assert second == str(load_tokenizer(str(train_spm()))("a</s>b").input_ids)
    assert "ada/gpt has no tokenizer" in third
    assert not hub.requests("GET", "safetensors")
    assert load(hub, "ada/gpt@v2", "ada/raw", HF_HUB_OFFLINE="1") == [first, second]


def test_what_is_wrong_with_a_name_on_the_hub_is_told_in_a_sentence(hub, saved):
    hub.add_repo("ada/mine", private=True).commit("main", files(saved), "", author="ada")
    none, mine = load(hub, "ada/none", "ada/mine")
    assert "There is no model ada/none on the Hub" in none
    assert "There is no model ada/mine on the Hub, or it is private" in mine
    mine, revision = load(hub, "ada/mine", "ada/mine@v9", token=hub.reader)
    assert mine.startswith("[") and "ada/mine has no revision 'v9'" in revision
    (unreachable,) = load(hub, "ada/other", HF_ENDPOINT="http://127.0.0.1:9")
    assert "the Hub cannot be reached" in unreachable


def test_loading_a_sentencepiece_file_imports_no_torch_and_no_auto_classes(train_spm):
    code = (
        "import sys; from core.text.tokenizers import load_tokenizer; load_tokenizer(sys.argv[1]);"
        "print([name for name in ('torch', 'transformers.models.auto.tokenization_auto') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(train_spm())], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_loaded_tokenizer_is_a_fast_one(saved):
    assert isinstance(load_tokenizer(str(saved)), PreTrainedTokenizerFast)
