"""A SentencePiece file as a fast tokenizer: the ids are sentencepiece's own, or the file is refused."""

import itertools
import math
import random
import shutil
import struct
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from core.errors import TextError
from core.presets import FABLE
from core.text.sentencepiece import from_sentencepiece
from tests.text import texts

SYMBOLS = ["<sep>", "<|x|>", "\n", "ab", "abc", "▁▁", "'", "～", "％"]
RULES = ["identity", "nfkc", "nmt_nfkc", "nmt_nfkc_cf"]
OPTIONS = [  # every pair of settings, not every triple
    {"byte_fallback": fallback, "add_dummy_prefix": prefix, "remove_extra_whitespaces": fallback == prefix}
    for fallback, prefix in itertools.product([True, False], repeat=2)
]
any_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(0xFDD0, 0xFDF0)])
)


def name(options: dict) -> str:
    return "-".join(key for key, value in options.items() if value) or "plain"


def differing(
    tokenizer: PreTrainedTokenizerFast, processor: SentencePieceProcessor, lines: list[str]
) -> list:
    """The lines whose ids are not sentencepiece's, special tokens read as text."""
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    given = [encoding.ids for encoding in backend.encode_batch(lines, add_special_tokens=True)]
    backend.encode_special_tokens = False
    wanted = processor.encode(lines)
    return [(line, want, got) for line, want, got in zip(lines, wanted, given, strict=True) if want != got]


def is_tie(processor: SentencePieceProcessor, first: list[int], second: list[int]) -> bool:
    """Two segmentations of the same score, among which rounding decides: the limit of unigram models."""
    scores = [sum(map(processor.get_score, ids)) for ids in (first, second)]
    return len(first) == len(second) and math.isclose(*scores, rel_tol=1e-6)


@cache
def every_line() -> list[str]:
    return [*texts.ordinary_lines(), *texts.odd_lines(), *texts.naming_lines()]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("options", OPTIONS, ids=name)
@pytest.mark.parametrize("symbols", [[], SYMBOLS], ids=["", "symbols"])
def test_bpe_ids_are_sentencepieces_own(train_spm, options, rules, symbols):
    path = train_spm(
        normalization_rule_name=rules, user_defined_symbols=symbols, control_symbols=["<mask>"], **options
    )
    processor = SentencePieceProcessor(model_file=str(path))
    assert differing(from_sentencepiece(path), processor, every_line()) == []


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("options", OPTIONS, ids=name)
@pytest.mark.parametrize("symbols", [[], SYMBOLS], ids=["", "symbols"])
def test_unigram_ids_are_sentencepieces_own_but_for_ties(train_spm, options, rules, symbols):
    path = train_spm(
        model_type="unigram",
        vocab_size=700,
        normalization_rule_name=rules,
        user_defined_symbols=symbols,
        **options,
    )
    processor = SentencePieceProcessor(model_file=str(path))
    other = differing(from_sentencepiece(path), processor, every_line())
    assert [each for each in other if not is_tie(processor, *each[1:])] == []
    assert len(other) < 0.01 * len(every_line())


def test_there_are_thousands_of_lines():
    assert len(texts.ordinary_lines()) > 1700 and len(texts.odd_lines()) > 2500


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_ids_decode_to_what_sentencepiece_decodes(train_spm, model_type, options):
    path = train_spm(model_type=model_type, vocab_size=700, **options)
    processor, tokenizer = SentencePieceProcessor(model_file=str(path)), from_sentencepiece(path)
    lines = [*texts.ordinary_lines(), *texts.odd_lines()]
    encoded = [ids for ids in processor.encode(lines) if processor.unk_id() not in ids]
    assert len(encoded) > 1000
    assert [ids for ids in encoded if tokenizer.decode(ids) != processor.decode(ids)] == []


@pytest.mark.skipif(not (FABLE / "tokenizer.model").is_file(), reason="the embedded base model is not here")
def test_the_embedded_tokenizer_is_exact():
    path = FABLE / "tokenizer.model"
    processor, tokenizer = SentencePieceProcessor(model_file=str(path)), from_sentencepiece(path)
    assert differing(tokenizer, processor, every_line()) == []
    lines = [line for line in every_line() if not any(name in line for name in texts.NAMES)]
    assert [line for line in lines if tokenizer(line).input_ids != processor.encode(line)] == []


@pytest.mark.parametrize(
    "options",
    [{"byte_fallback": True}, {"normalization_rule_name": "identity"}, {"user_defined_symbols": SYMBOLS}],
    ids=["nmt_nfkc", "identity", "symbols"],
)
def test_ids_are_sentencepieces_own_for_any_text(train_spm, options):
    path = train_spm(**options)
    processor, tokenizer = SentencePieceProcessor(model_file=str(path)), from_sentencepiece(path)

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(any_text)
    def check(text: str) -> None:
        if "</s>" not in text and "<s>" not in text and "<unk>" not in text:
            assert tokenizer(text).input_ids == processor.encode(text)

    check()


def test_default_arguments_add_no_token_and_name_the_files_own(train_spm):
    tokenizer = from_sentencepiece(train_spm(pad_id=0, unk_id=1, bos_id=2, eos_id=3))
    assert tokenizer("").input_ids == []
    assert tokenizer("a b").input_ids == tokenizer("a b", add_special_tokens=False).input_ids
    named = (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert named == (0, 1, 2, 3)
    assert set(tokenizer("a")) == {"input_ids", "attention_mask"}


def test_a_token_that_the_file_does_not_have_is_not_made_up(train_spm):
    tokenizer = from_sentencepiece(train_spm(bos_id=-1, pad_id=-1, eos_id=1, unk_id=0))
    assert tokenizer.bos_token is None and tokenizer.pad_token is None
    assert (
        len(tokenizer)
        == SentencePieceProcessor(
            model_file=str(train_spm(bos_id=-1, pad_id=-1, eos_id=1, unk_id=0))
        ).vocab_size()
    )


def test_special_tokens_in_a_text_are_read_as_such_and_each_stretch_between_is_encoded_alone(train_spm):
    path = train_spm(byte_fallback=True)
    processor, tokenizer = SentencePieceProcessor(model_file=str(path)), from_sentencepiece(path)
    text = "Il était </s> une fois<s>"
    wanted = [*processor.encode("Il était "), 2, *processor.encode(" une fois"), 1]
    assert tokenizer(text).input_ids == wanted
    assert tokenizer(text, split_special_tokens=True).input_ids == processor.encode(text)


def test_user_defined_symbols_stand_apart_the_longest_first(train_spm):
    path = train_spm(user_defined_symbols=["<yes>", "<yes/>", "\n"])
    processor, tokenizer = SentencePieceProcessor(model_file=str(path)), from_sentencepiece(path)
    for text in ("<yes>", " <yes/>x", "a<yes>\n", "<yes<yes>>", "\n\n", "<yes><unk><yes>"[:5] + "<0x41>"):
        assert tokenizer(text).input_ids == processor.encode(text), text
    assert tokenizer.convert_ids_to_tokens(tokenizer("a<yes/>\n").input_ids)[-2:] == ["<yes/>", "\n"]


def test_a_saved_tokenizer_gives_the_same_ids_when_opened_by_anyone(train_spm, tmp_path):
    tokenizer = from_sentencepiece(train_spm(byte_fallback=True, user_defined_symbols=SYMBOLS))
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    lines = texts.ordinary_lines()[::7]
    assert again(lines).input_ids == tokenizer(lines).input_ids
    assert again.batch_decode(again(lines).input_ids) == tokenizer.batch_decode(tokenizer(lines).input_ids)


# What is refused


def refusal(path: Path) -> str:
    with pytest.raises(TextError) as caught:
        from_sentencepiece(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_cut_anywhere_is_refused(train_spm, tmp_path):
    data = train_spm(byte_fallback=True).read_bytes()
    path = tmp_path / "cut.model"
    for kept in [1, 100, 1000, len(data) // 4, len(data) // 2, len(data) - 1000, len(data) - 1]:
        path.write_bytes(data[:kept])
        assert "not a whole SentencePiece model" in refusal(path)


def test_a_file_without_its_rules_is_refused_though_sentencepiece_loads_it(train_spm, tmp_path):
    data = train_spm(byte_fallback=True).read_bytes()
    rules = data.rindex(b"\x0a\x08nmt_nfkc")  # the section's first field, after its number and length
    for back in range(1, 6):
        path = tmp_path / f"{back}.model"
        path.write_bytes(data[: rules - back])
        assert "not a whole SentencePiece model" in refusal(path)
    SentencePieceProcessor(model_proto=data[: rules - 4])


@pytest.mark.parametrize(
    "content", [b"\x00" * 500, b'{"model": {"type": "BPE"}}', b"hello\n" * 99, b"PK\x03\x04" + b"x" * 99]
)
def test_another_kind_of_file_is_refused(tmp_path, content):
    path = tmp_path / "other.model"
    path.write_bytes(content)
    assert "not a whole SentencePiece model" in refusal(path)


def test_an_empty_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "empty.model").touch()
    assert "is empty" in refusal(tmp_path / "empty.model")
    assert "No such file" in refusal(tmp_path / "none.model")


@pytest.mark.parametrize(("model_type", "kind"), [("word", "word"), ("char", "character")])
def test_word_and_character_models_are_refused(train_spm, model_type, kind):
    assert f"is a {kind} model" in refusal(train_spm(model_type=model_type, vocab_size=300))


def test_spaces_after_words_are_refused(train_spm):
    assert "spaces after words" in refusal(train_spm(treat_whitespace_as_suffix=True))


def test_rules_of_ones_own_are_refused(train_spm, tmp_path):
    table = tmp_path / "rules.tsv"
    table.write_text("153\t6F 65\n")  # œ -> oe
    path = tmp_path / "own.model"
    shutil.copy(train_spm(normalization_rule_tsv=str(table)), path)
    assert "rules of its own" in refusal(path)


def proto(pieces: list[tuple[str, float]], model_type: int = 2, kind: int = 1) -> bytes:
    """A model as the trainer would write it, of these pieces and their characters; no rules, no prefix."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(content)) + content

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)

    def piece(text: str, score: float, kind: int) -> bytes:
        return field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind]))

    letters = sorted({letter for text, _ in pieces for letter in text})
    data = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3)
    data += b"".join(piece(text, score, kind) for text, score in pieces)
    data += b"".join(piece(letter, -100 - number, 1) for number, letter in enumerate(letters))
    return data + field(2, bytes([0x18, model_type])) + field(3, field(1, b"identity") + b"\x18\x00\x20\x00")


def test_scores_that_no_ranks_can_follow_are_refused(tmp_path):
    """`ab` and `ba` score the same, and the leftmost wins: `aba` is ab a, but `bab` is ba b."""
    path = tmp_path / "tied.model"
    path.write_bytes(proto([("ab", -1), ("ba", -1)]))
    assert "'ba' and 'ab', which can overlap" in refusal(path)
    path.write_bytes(proto([("ab", -1), ("ba", -2)]))
    from_sentencepiece(path)


def test_runs_of_equal_score_are_no_reason_to_refuse(tmp_path):
    """As the runs of spaces in Llama 2's model, all of the lowest score."""
    path = tmp_path / "runs.model"
    path.write_bytes(proto([("▁a", -1), *(("▁" * length, -1e9) for length in range(2, 17))]))
    processor = SentencePieceProcessor(model_file=str(path))
    lines = [" " * length + end for length in range(1, 80) for end in ("", "a", "a  a", "b  ")]
    assert differing(from_sentencepiece(path), processor, lines) == []


def test_scores_in_any_order_are_followed(tmp_path):
    """Vocabularies that no trainer makes: pieces that overlap themselves and each other, at random scores."""
    dice = random.Random(4)
    path = tmp_path / "random.model"
    lines = ["".join(dice.choices("ab", k=dice.randint(1, 24))) for _ in range(500)]
    lines += [letter * length for letter in "ab" for length in range(1, 40)]
    for _ in range(150):
        parts = ["a", "b"]
        for _ in range(dice.randint(3, 16)):
            parts.append(dice.choice(parts) + dice.choice(parts))
        pieces = [piece for piece in dict.fromkeys(parts) if 1 < len(piece) < 15]
        dice.shuffle(pieces)
        path.write_bytes(proto([(piece, -rank) for rank, piece in enumerate(pieces, 1)]))
        processor = SentencePieceProcessor(model_file=str(path))
        letters = {letter for piece in pieces for letter in piece}
        known = [line for line in lines if letters.issuperset(line)]
        assert differing(from_sentencepiece(path), processor, known) == [], pieces


def test_pieces_that_are_switched_off_are_refused(tmp_path):
    path = tmp_path / "unused.model"
    path.write_bytes(proto([("ab", -1)], kind=5))
    assert "switched off" in refusal(path)
