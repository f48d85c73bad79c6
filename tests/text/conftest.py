"""Little tokenizers, trained here in a second, of the kinds that models have."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sentencepiece import SentencePieceTrainer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from core.presets import FABLE
from core.text.sentencepiece import from_sentencepiece
from tests.text.texts import training_lines

Train = Callable[..., Path]


@pytest.fixture(scope="session")
def train_spm(tmp_path_factory) -> Train:
    """Trains a SentencePiece model once for each set of options; the options are the trainer's own."""
    folder = tmp_path_factory.mktemp("spm")
    lines = training_lines()

    def train(**options: object) -> Path:
        options = {"model_type": "bpe", "vocab_size": 700, **options}
        name = "_".join(f"{key}={value}" for key, value in sorted(options.items()))
        prefix = folder / f"{hash(name):x}"
        path = prefix.with_suffix(".model")
        if not path.exists():
            SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_prefix=str(prefix),
                hard_vocab_limit=False,
                character_coverage=0.98,  # so that some characters are unknown
                minloglevel=2,
                **options,
            )
        return path

    return train


@pytest.fixture(scope="session")
def make_tokenizer(train_spm) -> Callable[[str], PreTrainedTokenizerFast]:
    """A new tokenizer of a kind, without chat tokens; see KINDS."""
    saved: dict[str, str] = {}

    def make(kind: str) -> PreTrainedTokenizerFast:
        if kind not in saved:
            saved[kind] = MAKERS[kind](train_spm).backend_tokenizer.to_str()
        named = NAMED.get(kind, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
        return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(saved[kind]), **named)

    return make


def fable_like(train: Train) -> PreTrainedTokenizerFast:
    """Newlines become spaces, as by the default rules of sentencepiece."""
    ids = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}
    return from_sentencepiece(train(byte_fallback=True, remove_extra_whitespaces=False, **ids))


def trimming(train: Train) -> PreTrainedTokenizerFast:
    """sentencepiece's defaults throughout: unigram, spaces collapsed, no bytes."""
    return from_sentencepiece(train(model_type="unigram"))


def llama_like(train: Train) -> PreTrainedTokenizerFast:
    """Puts its bos before every text."""
    rules = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    tokenizer = from_sentencepiece(train(byte_fallback=True, **rules))
    first = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = first
    return tokenizer


def byte_level(*special: str) -> Callable[[Train], PreTrainedTokenizerFast]:
    """As GPT-2's and Qwen's."""

    def make(_: Train) -> PreTrainedTokenizerFast:
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=600, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
        )
        backend.train_from_iterator(training_lines(), trainer)
        return PreTrainedTokenizerFast(tokenizer_object=backend)

    return make


def metaspace(_: Train) -> PreTrainedTokenizerFast:
    """As Mistral's and newer Llama conversions: a space before the first word of a text only, and a bos."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<unk>", "<s>", "</s>", *bytes_],
        max_token_length=8,
        show_progress=False,
    )
    backend.train_from_iterator(
        [word for line in training_lines()[:300] for word in line.split(" ")], trainer
    )
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    trained = json.loads(backend.to_str())
    trained["added_tokens"] = trained["added_tokens"][
        :3
    ]  # the trainer makes the bytes special too; no model does
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(trained)))


MAKERS = {
    "fable-like": fable_like,
    "trimming": trimming,
    "llama-like": llama_like,
    "metaspace": metaspace,
    "gpt2-like": byte_level("<|endoftext|>"),
    "qwen-like": byte_level("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_pad|>"),
}
NAMED = {
    "fable-like": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    "gpt2-like": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
    "qwen-like": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
}
KINDS = list(MAKERS)


@pytest.fixture
def fable() -> PreTrainedTokenizerFast:
    return from_sentencepiece(FABLE / "tokenizer.model")
