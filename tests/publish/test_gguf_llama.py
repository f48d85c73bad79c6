"""What llama.cpp itself makes of our files. Run by `make test-llama`, which builds llama-cpp-python first."""

import shutil

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from core.publish import parity
from core.publish.export import export
from core.publish.gguf.reading import Stored
from core.runs import Run
from core.text.load import load_text
from tests.publish.tiny import base, byte_level, trained_on

llama_cpp = pytest.importorskip("llama_cpp")
pytestmark = pytest.mark.llama
TEXTS = [
    "Hello  world,\n\n it's 12345 o'clock; WE'LL see...   ", "Où est l'œuf « doré » ?\r\n\tÇa va", "naïve STRASSE ÉCOLE été",
    "東京 한국어 🙂👍🏽 ₂x² ½ a\u00a0b cafe\u0301 Ａ", "def f(x):\n    if x>10: return x[::-1]  # 0x1F", " ", "\n", "'s 'S I'LL can't",
    "camelCaseWords and UPPERlower ÉCOLEx", "१२३ ٣٤٥ Привет",
]  # fmt: skip


def check(run: Run, tokens: int, format: str = "f16") -> None:
    """llama.cpp reads texts as our reader of the file does, asks as the model was trained, and its answers begin with
    the same `tokens`. It rounds within, so that with random weights a near tie turns after a while."""
    text, path = load_text(run.spec), run.folder / "gguf" / f"{run.name}-{format}.gguf"
    stored = Stored(path)
    engine = llama_cpp.Llama(str(path), n_ctx=512, n_threads=1, verbose=False)
    for each in TEXTS:
        assert engine.tokenize(each.encode(), add_bos=False, special=True) == stored.ids(each, first=False), (
            each
        )
    first = stored.token("bos") or ""
    for name, messages in parity.CONVERSATIONS.items():
        written, _ = render_jinja_template(
            conversations=[[{"role": each.role, "content": each.content} for each in messages]],
            chat_template=stored.chat_template,
            add_generation_prompt=True,
            bos_token=first,
            eos_token=stored.token("eos") or "",
        )
        asked = written[0]
        if stored.says["tokenizer.ggml.add_bos_token"]:
            asked = asked.removeprefix(first)
        ids = engine.tokenize(asked.encode(), add_bos=True, special=True)
        assert ids == text.template.prompt_ids(messages, text.tokenizer), name
    ends = set(text.stop_ids)
    assert {number for number in ends if llama_cpp.llama_vocab_is_eog(engine._model.vocab, number)} == ends
    for answer in parity.read(run).of(format).answers:
        messages = (parity.Message("user", answer.prompt),)
        said, ids = [], text.template.prompt_ids(messages, text.tokenizer)
        for number in engine.generate(ids, temp=0.0, repeat_penalty=1.0):
            if number in ends or len(said) == tokens:
                break
            said.append(number)
        begun = text.tokenizer.decode(said, skip_special_tokens=True).strip().rstrip("\ufffd")
        assert answer.wanted.startswith(begun) and (begun == answer.wanted or tokens < parity.NEW_TOKENS)


def test_llama_cpp_answers_as_the_trained_run_does(trained, tmp_path):
    run = Run(shutil.copytree(trained.folder, tmp_path / "runs" / trained.name))
    (run.reports / "evaluation.json").unlink(missing_ok=True)
    export(run, ["f16"])
    check(run, parity.NEW_TOKENS)


@pytest.mark.parametrize(
    "shape, cuts, settings",
    [
        ("llama", "llama-bpe", {}), ("llama-tied", "gpt-2", {}), ("mistral", "tekken", {}), ("qwen2", "qwen2", {}),
        ("qwen3", "qwen2", {}), ("llama-biased", "smollm", {}), ("llama", "qwen35", {}),
        ("llama", "llama-bpe", {"rope_parameters": {
            "rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}}),
        ("llama", "gpt-2", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}),
        ("qwen2", "qwen2", {"rope_parameters": {
            "rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6, "original_max_position_embeddings": 128}}),
    ],
)  # fmt: skip
def test_llama_cpp_computes_each_shape_and_cuts_texts_as_its_tokenizer(
    store, lora_run, tmp_path, shape, cuts, settings
):
    run = trained_on(store, lora_run, base(tmp_path / "base", shape, byte_level(cuts), **settings))
    export(run, ["f16"])
    check(run, 4)
