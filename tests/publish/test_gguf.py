"""GGUF files say of a model what it is, read texts as it does, and hold its weights; what they could not is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, dequantize
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from core.errors import PublishError
from core.publish import parity
from core.publish.gguf import formats
from core.publish.gguf.formats import FORMATS, format_named
from core.publish.gguf.reading import Stored, check_tensors
from core.publish.gguf.shapes import shape_of
from core.publish.gguf.vocabulary import CONTROL, UNUSED, USER_DEFINED, rewritten, vocabulary_of
from core.publish.gguf.write import About, write
from core.text.sentencepiece import from_sentencepiece
from core.text.templates import add_chat_tokens
from tests.publish.tiny import TEXT, base, byte_level

CUTS = ("gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "tekken")
STRINGS = [
    "Hello  world,\n\n it's 12345 o'clock; WE'LL see...   ", "Où est l'œuf « doré » ?\r\n\tÇa va", "naïve STRASSE ÉCOLE été İx",
    "東京 한국어 🙂👍🏽 ₂x² ½ a\u00a0b", "def f(x):\n    if x>10: return x[::-1]  # 0x1F", "", " ", "\n", "'s 'S I'LL can't",
    "<|im_end|> not <|endoftext|>x<|pad|>", "camelCaseWords and UPPERlower", "१२३ ٣٤٥ Привет",
]  # fmt: skip


def made(folder, tokenizer, format="f32", **about):
    """The model in the folder as a GGUF file, opened again."""
    vocabulary = vocabulary_of(
        tokenizer, AutoConfig.from_pretrained(folder).vocab_size, (tokenizer.eos_token_id,), False
    )
    target = folder / f"model-{format}.gguf"
    written = write(folder, target, format_named(format), vocabulary, About(**{"name": "tiny"} | about))
    stored = Stored(target)
    check_tensors(stored, written)
    return stored


@torch.no_grad()
def logits(folder, **settings):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **settings)
    return model(input_ids=torch.arange(40)[None] * 7).logits[0]


SHAPES = [
    ("llama", {}), ("llama-tied", {}), ("mistral", {}), ("qwen2", {}), ("qwen3", {}), ("llama-biased", {}),
    ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}),
    ("qwen2", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6, "original_max_position_embeddings": 128}}),
    ("llama", {"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5, "low_freq_factor": 1.0,
                                   "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}),
]  # fmt: skip


@pytest.mark.parametrize("shape, settings", SHAPES)
def test_a_model_of_each_shape_is_the_same_again(tmp_path, shape, settings):
    tokenizer = byte_level("gpt-2")
    folder = base(tmp_path / "model", shape, tokenizer, **settings)
    stored = made(folder, tokenizer)
    config = AutoConfig.from_pretrained(folder)
    odd = settings or shape in ("llama-biased", "qwen3")  # transformers' reader passes something over
    again = {"gguf_file": stored.path.name, "config": config if odd else None}
    assert parity.noise(logits(folder), logits(folder, **again)) < 1e-5
    names = {tensor.name for tensor in stored.tensors()}
    assert ("output.weight" in names) == (not config.tie_word_embeddings)
    assert ("blk.0.attn_q.bias" in names) == (shape in ("qwen2", "llama-biased"))
    says, name = stored.says, shape_of(config).name
    assert says["general.architecture"] == name == {"m": "llama"}.get(shape[0], shape.split("-")[0])
    assert says[f"{name}.attention.head_count_kv"] == 2 and says[f"{name}.context_length"] == 512
    sizes = {
        says[f"{name}.{key}"]
        for key in ("attention.key_length", "attention.value_length", "rope.dimension_count")
    }
    assert sizes == {config.head_dim if hasattr(config, "head_dim") else 16}
    assert says[f"{name}.rope.freq_base"] == pytest.approx(config.rope_parameters["rope_theta"])
    rope = settings.get("rope_parameters", {})
    kind = rope.get("rope_type")
    assert says.get(f"{name}.rope.scaling.type") == (kind if kind in ("linear", "yarn") else None)
    assert says.get(f"{name}.rope.scaling.factor") == (rope["factor"] if kind in ("linear", "yarn") else None)
    assert says.get(f"{name}.rope.scaling.original_context_length") == (128 if kind == "yarn" else None)
    assert ("rope_freqs.weight" in names) == (kind == "llama3")


def test_llama_3s_stretched_positions_divide_the_plain_ones(tmp_path):
    tokenizer = byte_level("gpt-2")
    folder = base(tmp_path / "model", *SHAPES[-1][:1], tokenizer, **SHAPES[-1][1])
    factors = next(
        tensor.data for tensor in made(folder, tokenizer).tensors() if tensor.name == "rope_freqs.weight"
    )
    assert factors[0] == 1.0 and factors[-1] == pytest.approx(8.0) and (np.diff(factors) > -1e-6).all()


@pytest.mark.parametrize("name", formats())
def test_each_format_keeps_to_its_bound_and_to_its_size(tmp_path, name):
    tokenizer = byte_level("gpt-2")
    folder = base(tmp_path / "model", "qwen3", tokenizer)
    stored, format = made(folder, tokenizer, name), FORMATS[name]
    config = AutoConfig.from_pretrained(folder)
    noise = parity.noise(logits(folder), logits(folder, gguf_file=stored.path.name, config=config))
    assert noise <= format.bound and (noise > format.bound / 20 or not format.blocks)
    kinds = {tensor.name: tensor.kind for tensor in stored.tensors()}
    assert kinds["blk.0.ffn_up.weight"] == name.upper() and kinds["blk.0.attn_norm.weight"] == "F32"
    assert kinds["output.weight"] == kinds["token_embd.weight"] == (format.large or name).upper()
    large = next(tensor for tensor in stored.tensors() if tensor.name == "blk.0.ffn_up.weight")
    assert large.data.nbytes * 8 / np.prod(large.shape) == format.bits


@pytest.mark.parametrize("name", ["q4_k", "q6_k", "iq4_nl"])
def test_what_gguf_cannot_quantize_is_no_format_here(name):
    with pytest.raises(NotImplementedError):
        from gguf import quantize

        quantize(np.zeros((1, 256), np.float32), GGMLQuantizationType[name.upper()])
    with pytest.raises(PublishError, match="choose from f32, bf16, f16, q8_0"):
        format_named(name)


def test_rows_that_fill_no_block_stay_in_16_bits(tmp_path):
    tokenizer = byte_level("gpt-2")
    folder = base(tmp_path / "model", "llama", tokenizer, intermediate_size=80)
    kinds = {tensor.name: tensor.kind for tensor in made(folder, tokenizer, "q8_0").tensors()}
    assert kinds["blk.1.ffn_down.weight"] == "F16" and kinds["blk.1.ffn_up.weight"] == "Q8_0"


@pytest.mark.parametrize("cuts", CUTS)
def test_a_byte_level_tokenizer_is_known_by_its_patterns_and_read_alike(tmp_path, cuts):
    tokenizer = byte_level(cuts)
    stored = made(base(tmp_path / "model", "llama", tokenizer), tokenizer)
    assert stored.says["tokenizer.ggml.pre"] == cuts
    for text in [*STRINGS, *TEXT.splitlines()]:
        assert stored.ids(text, first=False) == tokenizer(text, add_special_tokens=False).input_ids, text
    tokens = stored.says["tokenizer.ggml.tokens"]
    assert tokens[-1].startswith("[PAD") and len(set(tokens)) == len(tokens)  # rows that no token has
    types = stored.says["tokenizer.ggml.token_type"]
    assert (
        types[-1] == UNUSED and types[tokenizer.eos_token_id] == CONTROL
    )  # what is never said, or never shown


def test_a_sentencepiece_tokenizer_is_read_alike_but_for_its_unicode_rules(tmp_path):
    tokenizer = from_sentencepiece(Path("presets/fable/tokenizer.model").absolute())
    add_chat_tokens(tokenizer)
    tokenizer.chat_template = "x"
    stored = made(base(tmp_path / "model", "llama", tokenizer), tokenizer)
    assert stored.says["tokenizer.ggml.model"] == "llama" and stored.says["tokenizer.ggml.add_space_prefix"]
    ids = {
        name: stored.says[f"tokenizer.ggml.{name}_token_id"] for name in ("padding", "unknown", "bos", "eos")
    }
    assert ids == {"padding": 0, "unknown": 1, "bos": 2, "eos": 3}
    types = stored.says["tokenizer.ggml.token_type"]
    assert [types[at] for at in range(5)] == [3, 2, 3, 3, 6] and USER_DEFINED not in types
    changed = rewritten(tokenizer)
    assert changed["\n"] == " " and changed["…"] == "..."
    texts = [
        *STRINGS[:-2],
        *TEXT.splitlines(),
        "the king's  son</s> said <|im_end|>",
        "-----",
        "aaaaaaa",
        "  x",
    ]
    for text in texts:
        for old, new in changed.items():
            text = text.replace(old, new)
        if not set(text) & {"₂", "İ"}:
            assert stored.ids(text, first=False) == tokenizer(text, add_special_tokens=False).input_ids, text
    assert stored.ids("Ａ", first=False) != tokenizer("Ａ", add_special_tokens=False).input_ids


@pytest.mark.parametrize("scheme", ["always", "never"])
def test_whether_a_text_gets_a_space_before_it_is_told_as_the_tokenizer_does_it(scheme):
    pieces = {
        piece: at for at, piece in enumerate(["a", "▁", "▁a", *(f"<0x{byte:02X}>" for byte in range(256))])
    }
    backend = Tokenizer(models.BPE(pieces, [("▁", "a")], byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, chat_template="x")
    vocabulary = vocabulary_of(tokenizer, len(pieces), (), False)
    assert vocabulary.add_space_prefix == (scheme == "always") == (tokenizer("a").input_ids == [pieces["▁a"]])


def test_the_token_that_ends_a_turn_is_named_beside_the_one_that_ends_a_text(tmp_path):
    tokenizer = byte_level("qwen2")
    turn, end = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    folder = base(tmp_path / "model", "llama", tokenizer)
    vocabulary = vocabulary_of(tokenizer, len(tokenizer) + 5, (turn, end), False)
    write(folder, tmp_path / "a.gguf", format_named("q8_0"), vocabulary, About("a"))
    says = Stored(tmp_path / "a.gguf").says
    assert (says["tokenizer.ggml.eot_token_id"], says["tokenizer.ggml.eos_token_id"]) == (turn, end)


def test_a_tokenizer_with_more_tokens_than_the_model_has_rows_is_refused():
    tokenizer = byte_level("gpt-2")
    with pytest.raises(PublishError, match="do not belong together"):
        vocabulary_of(tokenizer, len(tokenizer) - 1, (), False)


def test_a_head_that_is_the_embedding_is_left_out_also_where_the_weights_hold_it_twice(tmp_path):
    tokenizer = byte_level("gpt-2")
    folder = base(tmp_path / "model", "llama-tied", tokenizer)
    weights = load_file(folder / "model.safetensors")
    head = weights["model.embed_tokens.weight"].clone()
    save_file(weights | {"lm_head.weight": head}, folder / "model.safetensors", {"format": "pt"})
    assert "output.weight" not in {tensor.name for tensor in made(folder, tokenizer).tensors()}


def changed(kind, **parts):
    spec = json.loads(byte_level(kind).backend_tokenizer.to_str()) | parts
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(spec)), eos_token="<|endoftext|>", chat_template="x"
    )


def part(step):
    return json.loads(step.__getstate__())


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: changed("qwen2", pre_tokenizer=part(pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(r"\w+|\W"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))),
         r"no pre-tokenizer .*\\w\+"),
        (lambda: changed("gpt-2", pre_tokenizer=part(pre_tokenizers.ByteLevel(add_prefix_space=True))), "a space before"),
        (lambda: changed("gpt-2", normalizer=part(normalizers.Lowercase())), "rewrites texts .Lowercase"),
        (lambda: changed("llama-bpe", model=json.loads(byte_level("llama-bpe").backend_tokenizer.to_str())["model"]
                         | {"ignore_merges": False}), "no pre-tokenizer"),
        (lambda: PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.Unigram([("a", 0.0)])), chat_template="x"),
         "this one is Unigram"),
        (lambda: PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE({"a": 0}, [])), chat_template="x"),
         "no pieces for bytes"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_would_be_read_otherwise_is_refused_in_a_sentence(make, words):
    tokenizer = make()
    with pytest.raises(PublishError, match=words) as refused:
        vocabulary_of(tokenizer, len(tokenizer), (), False)
    assert "--llama-cpp DIR" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "shape, settings, words",
    [
        ("moe", {}, "not for Qwen3MoeForCausalLM"),
        ("llama", {"hidden_act": "gelu"}, "the activation gelu"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "of the kind dynamic",
        ),
        ("qwen3", {"attention_bias": True}, "biases in attention"),
    ],
)
def test_a_model_that_llama_cpp_would_compute_otherwise_is_refused(tmp_path, shape, settings, words):
    tokenizer = byte_level("gpt-2")
    with pytest.raises(PublishError, match=words):
        made(base(tmp_path / "model", shape, tokenizer, **settings), tokenizer)


def test_a_window_that_llama_cpp_does_not_keep_is_told(tmp_path):
    folder = base(tmp_path / "model", "mistral", byte_level("gpt-2"), sliding_window=128)
    assert "looks back 128 tokens" in shape_of(AutoConfig.from_pretrained(folder)).notes[0]


def spoiled(folder, change):
    model = AutoModelForCausalLM.from_pretrained(folder)
    change(model.model.layers[0].mlp.up_proj.weight.data)
    model.save_pretrained(folder)


@pytest.mark.parametrize(
    "value, words", [(1e38, "too large for f16"), (float("nan"), "numbers that are none")]
)
def test_numbers_that_a_format_cannot_hold_are_refused(tmp_path, value, words):
    tokenizer = byte_level("gpt-2")
    folder = base(tmp_path / "model", "llama", tokenizer)
    spoiled(folder, lambda weight: weight[0, 0].fill_(value))
    with pytest.raises(PublishError, match=words):
        made(folder, tokenizer, "f16" if value > 0 else "q8_0")


def test_a_file_that_was_cut_or_changed_is_not_taken_for_whole(tmp_path):
    tokenizer = byte_level("gpt-2")
    folder = base(tmp_path / "model", "llama", tokenizer)
    vocabulary = vocabulary_of(tokenizer, len(tokenizer) + 5, (tokenizer.eos_token_id,), False)
    path = tmp_path / "a.gguf"
    written = write(folder, path, format_named("q8_0"), vocabulary, About("a"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-2000] + bytes(2000))
    with pytest.raises(PublishError, match="was written as Q8_0|was written as F32"):
        check_tensors(Stored(path), written)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PublishError, match="cannot be opened as a GGUF file"):
        Stored(path)


def test_what_is_said_of_the_model_is_in_the_file(tmp_path):
    tokenizer = byte_level("llama-bpe")
    folder = base(tmp_path / "model", "llama", tokenizer)
    stored = made(folder, tokenizer, "q8_0", name="tales", base="ada/base", license="apache-2.0")
    says = stored.says
    assert (says["general.name"], says["general.license"]) == ("tales", "apache-2.0")
    assert says["general.base_model.0.repo_url"].endswith("ada/base") and says["general.file_type"] == 7
    assert says["tokenizer.chat_template"] == tokenizer.chat_template
    tensor = next(each for each in stored.tensors() if each.name == "token_embd.weight")
    weight = (
        AutoModelForCausalLM.from_pretrained(folder).get_input_embeddings().weight.detach().float().numpy()
    )
    assert (
        np.abs(dequantize(tensor.data, GGMLQuantizationType.Q8_0) - weight).max() < np.abs(weight).max() / 200
    )
