"""A tokenizer that is not the one that the settings or the model want is refused before anything is trained."""

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from core.errors import TextError, TrainError
from core.presets import FABLE
from core.spec import CONTRACTS, RunSpec, TokenizerContract
from core.text.contract import hold
from core.text.load import load_text
from core.text.tokenizers import load_tokenizer
from core.train.model import load_base

WANTED = {"kind": "sentencepiece", "vocabulary_size": 700, "pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}
IDS = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}


def spec(**model: object) -> RunSpec:
    return RunSpec.from_dict({"model": model})


def refusal(**model: object) -> str:
    with pytest.raises(TextError) as caught:
        load_text(spec(**model))
    return str(caught.value)


def test_a_tokenizer_that_keeps_the_contract_is_taken(train_spm):
    path = str(train_spm(**IDS))
    text = load_text(spec(tokenizer=path, tokenizer_contract=WANTED))
    assert text.tokenizer.pad_token_id == 0 and text.stop_ids[-1] == 3


@pytest.mark.parametrize(
    ("ids", "found", "wanted"),
    [
        (
            {"pad_id": -1, "unk_id": 0, "bos_id": 1, "eos_id": 2},
            "no pad, unk 0, bos 1 and eos 2",
            "pad 0, unk 1, bos 2 and eos 3",
        ),
        (
            {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
            "unk 2, no bos and eos 1",
            "unk 1, bos 2 and eos 3",
        ),
        (IDS | {"bos_id": 3, "eos_id": 2}, "bos 3 and eos 2", "bos 2 and eos 3"),
        (IDS | {"vocab_size": 500}, "500 pieces", "700 pieces"),
    ],
)
def test_one_that_breaks_it_is_refused_with_what_was_found_and_what_is_wanted(train_spm, ids, found, wanted):
    path = str(train_spm(**ids))
    sentence = refusal(tokenizer=path, tokenizer_contract=WANTED)
    assert (
        path in sentence and f"with {found} instead of {wanted}: " in sentence and sentence.count(". ") == 0
    )


def test_only_what_is_given_is_held(train_spm):
    path = str(train_spm(**IDS | {"bos_id": 3, "eos_id": 2}))
    load_text(spec(tokenizer=path, tokenizer_contract={"pad_id": 0, "unk_id": 1}))
    assert "bos 3 instead of bos 2" in refusal(tokenizer=path, tokenizer_contract={"bos_id": 2})


def test_the_short_name_stands_for_the_contract(train_spm):
    assert spec(tokenizer_contract="sp32k").model.tokenizer_contract == CONTRACTS["sp32k"]
    sentence = refusal(tokenizer=str(train_spm(**IDS)), tokenizer_contract="sp32k")
    assert "with 700 pieces instead of 32,000 pieces" in sentence


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("fable-like", {"sentencepiece", "bpe"}),
        ("trimming", {"sentencepiece", "unigram"}),
        ("metaspace", {"sentencepiece", "bpe"}),  # as a conversion of one
        ("gpt2-like", {"bpe"}),
    ],
)
def test_the_kind_is_judged_by_what_the_tokenizer_does(make_tokenizer, kind, kinds):
    tokenizer = make_tokenizer(kind)
    for wanted in ("sentencepiece", "bpe", "unigram"):
        if wanted in kinds:
            hold(TokenizerContract(kind=wanted), tokenizer, "x")
        else:
            with pytest.raises(TextError, match=f"instead of the kind {wanted}"):
                hold(TokenizerContract(kind=wanted), tokenizer, "x")


def test_tokens_that_a_run_added_do_not_count(train_spm, tmp_path):
    text = load_text(spec(tokenizer=str(train_spm(**IDS)), tokenizer_contract=WANTED))
    assert len(text.tokenizer) == 702
    text.tokenizer.save_pretrained(tmp_path)
    load_text(spec(tokenizer=str(tmp_path), tokenizer_contract=WANTED))


def test_the_bases_own_tokenizer_is_held_to_it_too():
    assert "with 8,192 pieces" in refusal(base="fable", tokenizer_contract="sp32k")


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9, 0.999])
def test_a_part_of_a_file_is_refused_and_no_other_tokenizer_is_taken(train_spm, tmp_path, share):
    whole = train_spm(**IDS).read_bytes()
    cut = tmp_path / "cut.model"
    cut.write_bytes(whole[: int(share * len(whole))])
    sentence = refusal(tokenizer=str(cut), tokenizer_contract=WANTED)
    assert str(cut) in sentence and ("is empty" if not share else "is not a whole SentencePiece") in sentence


# Tokenizer and embedding


@pytest.fixture
def base(tmp_path, train_spm):
    """A model with as many rows as asked for, and the tokenizer of 700 pieces."""

    def make(rows: int) -> str:
        config = LlamaConfig(
            vocab_size=rows, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
        )
        LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
        (tmp_path / "base" / "tokenizer.model").write_bytes(train_spm(**IDS).read_bytes())
        return str(tmp_path / "base")

    return make


def test_an_embedding_that_is_smaller_than_the_tokenizer_is_refused_before_the_weights_are_read(
    base, tmp_path
):
    asked = spec(base=base(600))
    (tmp_path / "base" / "model.safetensors").unlink()
    with pytest.raises(TrainError) as caught:
        load_base(asked, load_text(asked), torch.float32)
    assert "has ids from 0 to 699 but the embedding" in str(caught.value)
    assert "has rows for 0 to 599" in str(caught.value)


@pytest.mark.parametrize(("rows", "after"), [(700, 702), (701, 702), (702, 702), (768, 768)])
def test_a_padded_embedding_is_fine_and_there_is_a_row_for_every_token(base, rows, after):
    asked = spec(base=base(rows))
    text = load_text(asked)
    model = load_base(asked, text, torch.float32)
    weight = model.get_input_embeddings().weight
    assert len(weight) == after and text.added_ids == [700, 701]
    assert torch.allclose(weight[700], weight[:700].mean(0), atol=1e-6)


def test_another_tokenizer_that_is_too_large_for_the_base_is_named(base, train_spm):
    other = str(train_spm(**IDS | {"vocab_size": 900}))
    asked = spec(base=base(700), tokenizer=other)
    with pytest.raises(TrainError, match=f"The tokenizer '{other}' has ids from 0 to 899"):
        load_base(asked, load_text(asked), torch.float32)


def test_a_tokenizer_with_gaps_between_its_ids_needs_rows_up_to_the_last(base, tmp_path, make_tokenizer):
    folder = base(700)
    make_tokenizer("gpt2-like").save_pretrained(tmp_path / "gaps")
    saved = json.loads((tmp_path / "gaps" / "tokenizer.json").read_text())
    last = max(saved["model"]["vocab"], key=saved["model"]["vocab"].get)
    saved["model"]["vocab"][last] = 5000
    saved["model"]["merges"] = [each for each in saved["model"]["merges"] if "".join(each) != last]
    (tmp_path / "gaps" / "tokenizer.json").write_text(json.dumps(saved))
    asked = spec(base=folder, tokenizer=str(tmp_path / "gaps"))
    with pytest.raises(TrainError, match="has ids from 0 to 5,000"):
        load_base(asked, load_text(asked), torch.float32)


def test_the_embedded_model_has_the_tokenizer_that_it_was_made_with():
    hold(TokenizerContract(**WANTED | {"vocabulary_size": 8192}), load_tokenizer(str(FABLE)), "fable")
