"""What was kept is found only by what it was made from: weights, settings, tokenizer, and the libraries that read them."""

from dataclasses import dataclass

import pytest

from core.evaluate import kept
from core.evaluate.kept import folder_digest, keep, known


@dataclass(frozen=True)
class Said:
    text: str


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors", "pytorch_model.bin", "config.json", "adapter_config.json", "generation_config.json",
        "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "chat_template.jinja", "vocab.txt", "merges.txt",
    ],
)  # fmt: skip
def test_another_file_that_a_model_answers_by_is_another_model(tmp_path, name):
    (tmp_path / "config.json").write_text("{}")
    before = folder_digest(tmp_path)
    (tmp_path / name).write_text("one")
    one = folder_digest(tmp_path)
    (tmp_path / name).write_text("two")
    assert len({before, one, folder_digest(tmp_path)}) == 3


def test_notes_beside_a_model_do_not_make_it_another(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    before = folder_digest(tmp_path)
    (tmp_path / "README.md").write_text("a model")
    assert folder_digest(tmp_path) == before


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_another_version_of_a_library_answers_anew(tmp_path, monkeypatch, library):
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path))
    keep([Said("yes")], 1.5, ["parts"])
    assert known(Said, ["parts"]) == ([Said("yes")], 1.5)
    monkeypatch.setattr(getattr(kept, library), "__version__", "0.0.1")
    assert known(Said, ["parts"]) is None
