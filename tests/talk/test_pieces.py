import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from core.evaluate.generate import decode
from core.presets import FABLE
from core.talk.pieces import Pieces
from core.text.tokenizers import load_tokenizer

WORDS = "Où est le lièvre ? 兎はどこ 🦊 naïve café"


@pytest.fixture(scope="module", params=["sentencepiece", "byte-level"])
def tokenizer(request):
    if request.param == "sentencepiece":
        tokenizer = load_tokenizer(str(FABLE))
        tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
        return tokenizer
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|im_start|>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([WORDS] * 5, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def pieces_of(tokenizer, ids):
    pieces = Pieces(tokenizer)
    return [*(pieces.add(token) for token in ids), pieces.rest()]


@given(data=st.data())
@settings(max_examples=500, deadline=None)
def test_the_pieces_of_any_tokens_join_to_the_whole_text(tokenizer, data):
    # Bytes and special tokens have low numbers; a model may have rows that no token stands for.
    short = st.integers(0, 300) | st.integers(0, len(tokenizer) + 5)
    ids = data.draw(st.lists(short, max_size=40))
    assert "".join(pieces_of(tokenizer, ids)) == decode(tokenizer, ids)


def test_a_text_arrives_in_parts_and_no_part_holds_half_a_character(tokenizer):
    ids = tokenizer(WORDS, add_special_tokens=False).input_ids
    pieces = pieces_of(tokenizer, ids)
    assert "".join(pieces) == decode(tokenizer, ids)
    assert len([piece for piece in pieces if piece]) >= 5
    assert not any("\ufffd" in piece for piece in pieces)


def test_spaces_between_words_are_kept_and_special_tokens_are_not_shown(tokenizer):
    ids = tokenizer("le lièvre", add_special_tokens=False).input_ids
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    again = tokenizer(" est", add_special_tokens=False).input_ids
    assert "".join(pieces_of(tokenizer, [start, *ids, start, *again])) == decode(
        tokenizer, [start, *ids, start, *again]
    )


def test_what_never_became_a_character_is_shown_at_the_end(tokenizer):
    (*_, last) = tokenizer("☃", add_special_tokens=False).input_ids
    ids = [*tokenizer("le", add_special_tokens=False).input_ids, last, last]
    assert "".join(pieces_of(tokenizer, ids)) == decode(tokenizer, ids)
    assert "\ufffd" in decode(tokenizer, ids)
