"""A raw SentencePiece `.model` as a fast tokenizer that gives sentencepiece's own ids.

    tokenizer = from_sentencepiece(Path("tokenizer.model"))
    assert tokenizer(text).input_ids == SentencePieceProcessor(model_file="tokenizer.model").encode(text)

That holds for every text without a special token in it. Special tokens (`</s>`, `<pad>`, ...) that are
written in a text are read as such, as everywhere in transformers: chat templates need it. Each stretch of
text between them is what sentencepiece gives for it alone. With `split_special_tokens=True` they are plain
text, as for sentencepiece.

What is not exact, and how much of it there is:

* A unigram model may have two segmentations of equal score, and then the rounding of its sums decides:
  float32 in sentencepiece, float64 in tokenizers. With T5's model 82 of 172,150 lines of instructions, books
  and Markdown (0.05 %) differ, all within a run such as `-----` or `444`, by the order of the same pieces.
  BPE has no such sums.
* Under NFKC, some of Unicode's noncharacters U+FDD0 to U+FDEF are lost; a character that Unicode got after
  the file's table was made may be rewritten (with T5's table one: U+1F23B); and a mark may be joined to its
  letter otherwise where marks are stacked as no language does (about 1 in 30,000 random strings of letters
  and marks; none of 24,000 lines of French, Vietnamese, Korean, Hebrew, Arabic and Greek, composed and
  decomposed).
* Decoding ids that no encoding gives: a run of byte pieces that is not UTF-8 becomes U+FFFD as a whole, and
  where sentencepiece writes ` ⁇ ` for an unknown piece there is the unknown token, or nothing. With removal
  of spaces, all spaces at the start of a decoded text are dropped, also those of a user-defined `▁▁`.
"""

import struct
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from core.errors import TextError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(
    1, 7
)  # SentencePiece.Type in sentencepiece_model.proto
UNIGRAM, BPE, WORD, CHAR = range(1, 5)  # TrainerSpec.ModelType
UNICODE_RULES = ("nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf")
SPACE = "▁"
CUT = "\ufdd0"  # a noncharacter, put where letter and mark must not be joined
STAND_INS = [
    chr(code) for code in range(0xFDD1, 0xFDF0)
]  # noncharacters, for strings that the rules must not touch


@dataclass(frozen=True, slots=True)
class _Model:
    """What the file says, as far as it decides ids."""

    path: Path
    pieces: tuple[tuple[str, float, int], ...]  # piece, score, type; the place is the id
    kind: int
    byte_fallback: bool
    rules: str  # name of the Unicode rules
    charsmap: bytes  # their compiled table; empty for identity
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool

    def of_type(self, *types: int) -> list[str]:
        return [piece for piece, _, kind in self.pieces if kind in types]


def from_sentencepiece(path: Path) -> PreTrainedTokenizerFast:
    """The file's tokenizer; pad, unk, bos and eos are the file's own, and none is added to a text by itself.

    TextError if the file is damaged, is no SentencePiece model, or has a feature that would change ids.
    """
    data = _read(path)
    try:
        processor = SentencePieceProcessor(model_proto=data)
        model = _parse(path, data)
    except (RuntimeError, ValueError, LookupError, TypeError, struct.error) as error:
        raise TextError(
            f"{path} is not a whole SentencePiece model: download or copy it again, or name the right file."
        ) from error
    _refuse(model)
    backend = Tokenizer(_bpe(model) if model.kind == BPE else _unigram(model))
    backend.normalizer = _normalizer(model, _kept(model, processor))
    if pattern := _apart(model):
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    backend.decoder = _decoder(model)
    special = [AddedToken(piece, normalized=False, special=True) for piece in model.of_type(UNKNOWN, CONTROL)]
    backend.add_special_tokens(special)
    _check(model, processor, backend)
    ids = {name: getattr(processor, f"{name}_id")() for name in ("unk", "bos", "eos", "pad")}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **{f"{name}_token": processor.id_to_piece(id_) for name, id_ in ids.items() if id_ >= 0},
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
    # Texts by the thousand are encoded by sentencepiece itself, in a third of the time, where the ids are the same.
    tokenizer.sentencepiece = processor if model.kind == BPE else None
    return tokenizer


def _read(path: Path) -> bytes:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise TextError(f"The tokenizer {path} cannot be read: {error.strerror}.") from None
    if not data:
        raise TextError(f"The tokenizer {path} is empty: download or copy it again.")
    return data


def _parse(path: Path, data: bytes) -> _Model:
    """Raises ValueError, LookupError, TypeError or struct.error if the bytes are no such model."""
    sections: dict[int, bytes] = {}
    pieces = []
    for number, value in _fields(data):
        if number == 1:
            piece = dict(_fields(value))
            (score,) = struct.unpack("<f", piece.get(2, bytes(4)))
            pieces.append((piece[1].decode(), score, piece.get(3, NORMAL)))
        else:
            sections[number] = value
    # Both are always written. sentencepiece also loads a file that ends before one of them, with other rules.
    trainer, normalizer = dict(_fields(sections[2])), dict(_fields(sections[3]))
    if trainer.get(24) or not normalizer.get(5, 1) or dict(_fields(sections.get(5, b""))).get(2):
        raise TextError(
            f"{path} writes spaces after words or has rules for decoding, which a fast tokenizer cannot do exactly: "
            "use a model trained without treat_whitespace_as_suffix and denormalization rules."
        )
    return _Model(
        path=path,
        pieces=tuple(pieces),
        kind=trainer.get(3, UNIGRAM),
        byte_fallback=bool(trainer.get(35)),
        rules=normalizer.get(1, b"").decode(),
        charsmap=normalizer.get(2, b""),
        add_dummy_prefix=bool(normalizer.get(3, 1)),
        remove_extra_whitespaces=bool(normalizer.get(4, 1)),
    )


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protocol buffer message. Read by hand, which saves a dependency.

    https://protobuf.dev/programming-guides/encoding
    """
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        number, wire = divmod(varint(), 8)
        if wire == 0:
            yield number, varint()
            continue
        length = varint() if wire == 2 else {1: 8, 5: 4}[wire]
        yield number, message[place : place + length]
        place += length
    if place != len(message):
        raise ValueError("the last field is cut")


def _refuse(model: _Model) -> None:
    if model.kind not in (BPE, UNIGRAM):
        kind = {WORD: "word", CHAR: "character"}.get(model.kind, "new")
        raise TextError(
            f"{model.path} is a {kind} model; use a BPE or a unigram model, other kinds cannot be read."
        )
    if model.charsmap and model.rules not in UNICODE_RULES:
        raise TextError(
            f"{model.path} has Unicode rules of its own ({model.rules or 'unnamed'}), which a fast tokenizer cannot "
            f"follow exactly: use a model with {', '.join(UNICODE_RULES)} or identity."
        )
    if unused := model.of_type(UNUSED):
        raise TextError(
            f"{model.path} has {len(unused)} pieces that are switched off, which a fast tokenizer cannot do: "
            "use the model as it was trained."
        )
    if len({piece for piece, _, _ in model.pieces}) < len(model.pieces):
        raise TextError(f"{model.path} has two pieces of the same name: use the model as it was trained.")


def _bpe(model: _Model) -> models.BPE:
    """sentencepiece merges the pair whose joined piece scores best, the leftmost first; here are ranks.

    How the ways to cut one piece are ranked makes no difference (2,500 random vocabularies were tried). In runs
    of one character that score the same, as Llama 2's of ▁, the leftmost pair is the one whose left part has
    grown already, so the longest goes first. For other pieces that score the same see _joined_runs.
    """
    whole = set(model.of_type(NORMAL, USER_DEFINED))
    ranked = []
    for piece, score, kind in model.pieces:
        if kind == NORMAL:
            for at in range(1, len(piece)):
                left, right = piece[:at], piece[at:]
                if left in whole and right in whole:
                    ranked.append((-score, -at, left, right))
    merges = [(left, right) for *_, left, right in sorted(ranked, key=lambda each: each[:2])]
    return models.BPE(
        vocab={piece: number for number, (piece, _, _) in enumerate(model.pieces)},
        merges=merges,
        unk_token=model.of_type(UNKNOWN)[0],
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
        # A user-defined symbol is no product of merges: it stands apart (_apart) and is looked up whole.
        ignore_merges=bool(model.of_type(USER_DEFINED)),
    )


def _unigram(model: _Model) -> models.Unigram:
    """Control and byte pieces, which sentencepiece never looks for in a text, score too low to be chosen.

    User-defined symbols score 0.1 for each byte but the first: what sentencepiece 0.2.3 does, found by
    bisection.
    """
    lowest = min(score for _, score, kind in model.pieces if kind == NORMAL)
    longest = max(len(piece) for piece, _, _ in model.pieces)
    never = (lowest - 20) * (longest + 1)  # less than the same text in single characters, known or not

    def score(piece: str, trained: float, kind: int) -> float:
        if kind == USER_DEFINED:
            return 0.1 * (len(piece.encode()) - 1)
        return trained if kind == NORMAL else never

    return models.Unigram(
        [(piece, score(piece, trained, kind)) for piece, trained, kind in model.pieces],
        unk_id=[kind for _, _, kind in model.pieces].index(UNKNOWN),
        byte_fallback=model.byte_fallback,
    )


def _apart(model: _Model) -> str:
    """A pattern for the places where a text is cut before it is encoded; empty if there are none.

    BPE sets user-defined symbols apart, the longest first. Then a stretch of text can be the very name of a
    control or byte piece, "<0x41>", and would be looked up as one; a unigram model would take that name for
    the piece where a letter of it is unknown. So such names are cut between two characters that stand
    together in no piece: it changes no ids.
    """
    text = model.of_type(NORMAL, USER_DEFINED)
    known = set(text)
    together = {piece[at : at + 2] for piece in text for at in range(len(piece) - 1)}
    symbols = sorted(model.of_type(USER_DEFINED), key=len, reverse=True) if model.kind == BPE else []
    patterns = [_literal(symbol) for symbol in symbols]
    names = [(name, "", name) for name in model.of_type(UNKNOWN, CONTROL)]
    if model.byte_fallback:
        names.append(("<0x", "[0-9A-F]{2}>", "<0x123456789ABCDEF>"))
    for name, rest, letters in names:
        for at in range(1, len(name)):
            pair = name[at - 1 : at + 1]
            # Unknown characters in a row are one token, unless they are written as bytes.
            separable = pair not in together and (model.byte_fallback or not known.isdisjoint(pair))
            if separable and (symbols or not known.issuperset(letters)):
                patterns.append(f"(?<={_literal(name[:at])})(?={_literal(name[at:])}{rest})")
                break
    return "|".join(patterns)


def _normalizer(model: _Model, kept: Sequence[str]) -> normalizers.Normalizer:
    """As sentencepiece's normalizer.cc: rules, extra spaces, the prefix, spaces as ▁, spaces at the end.

    Without removal of spaces a text always gets its prefix, also if the rules leave nothing of it.
    """
    prefix = [normalizers.Prepend(SPACE)] if model.add_dummy_prefix else []
    rules = _rules(model, kept) if model.charsmap else []
    escape = normalizers.Replace(" ", SPACE)
    if not model.remove_extra_whitespaces:
        return normalizers.Sequence([*prefix, *rules, escape])
    collapse = [normalizers.Replace(Regex(r"\A +"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    strip = normalizers.Replace(
        Regex(f"{SPACE}+\\z"), ""
    )  # SPACE, not space: sentencepiece drops a literal ▁ too
    return normalizers.Sequence([*rules, *collapse, *prefix, escape, strip])


def _kept(model: _Model, processor: SentencePieceProcessor) -> list[str]:
    r"""What sentencepiece leaves alone but our steps would not: ～ (nmt), user-defined symbols such as "\n"."""
    draft = _normalizer(model, kept=())

    def needs_care(text: str) -> bool:
        within = f"a{text}a"
        return text in processor.normalize(within) and text not in draft.normalize_str(within)

    candidates = sorted([*model.of_type(USER_DEFINED), "～"], key=len, reverse=True)
    kept = [text for text in candidates if needs_care(text)]
    if len(kept) > len(STAND_INS):
        raise TextError(
            f"{model.path} has {len(kept)} user-defined symbols that its own Unicode rules would change, and a fast "
            f"tokenizer can keep {len(STAND_INS)}: use a model with fewer, or with identity rules."
        )
    return kept


def _rules(model: _Model, kept: Sequence[str]) -> list[normalizers.Normalizer]:
    """The file's Unicode rules, in steps that tokenizers can do.

    `Precompiled` alone follows the file's table for single characters, but loses marks: it knows no letter
    with two of them (Vietnamese), no decomposed Korean, and drops the mark of a rewritten letter. So letters
    and marks are joined by NFKC, held back where the table would not join them, and the table does the rest
    character by character.
    """
    hidden = list(zip(kept, STAND_INS, strict=False))
    return [
        *(normalizers.Replace(text, stand_in) for text, stand_in in hidden),
        normalizers.Replace(Regex(_not_joined()), CUT),
        normalizers.NFKC(),
        # Never at the start: tokenizers 0.23 panics later on if something was put before the first character.
        normalizers.Replace(Regex(r"(?!\A)(?=[\p{M}\n])"), CUT),
        normalizers.Precompiled(model.charsmap),
        normalizers.Replace(CUT, ""),
        *(normalizers.Replace(stand_in, text) for text, stand_in in hidden),
    ]


@cache
def _not_joined() -> str:
    """A pattern for the places where NFKC would join what sentencepiece's table keeps apart.

    The table joins a letter with marks if these are, one by one, the decomposition of a letter. NFKC also
    joins a letter that has its mark already, puts marks in order first, and looks past marks that do not fit.
    """
    composed = []  # letters that decompose
    before: dict[str, list[str]] = {}  # mark -> marks that stand before it in some letter
    for letter in map(chr, range(0xA0, 0x20000)):
        if not unicodedata.decomposition(letter):
            continue
        parts = unicodedata.normalize("NFKD", letter)
        if len(parts) > 1:
            composed.append(letter)
            if unicodedata.normalize("NFC", parts) != parts:
                for first, second in zip(parts[1:], parts[2:], strict=False):
                    before.setdefault(second, []).append(first)
    korean = r"\x{1160}-\x{11ff}\x{3131}-\x{318e}\x{ffa0}-\x{ffdc}"  # vowels and finals
    marks = r"\p{M}\x{ff9e}\x{ff9f}"  # the last two are halfwidth ones, which NFKC makes marks
    fitting = "|".join(f"(?={_code(mark)})(?<![{_set(others)}])" for mark, others in sorted(before.items()))
    reasons = [
        r"(?=\x{344})",  # a mark that is two marks
        f"(?<=[{_set(composed)}\\x{{ac00}}-\\x{{d7a3}}])",  # after a letter that has its marks
        f"(?<=[{marks}])(?:(?![{_set(before)}])|{fitting})",  # after one that it never follows
    ]
    return f"(?!\\A)(?=[{marks}{korean}])(?:{'|'.join(reasons)})"


def _decoder(model: _Model) -> decoders.Decoder:
    steps = [decoders.Replace(SPACE, " ")]
    if model.byte_fallback:
        steps.append(decoders.ByteFallback())
    steps.append(decoders.Fuse())
    if model.remove_extra_whitespaces:
        steps.append(
            decoders.Strip(" ", 2**20, 0)
        )  # sentencepiece drops one from each piece until there is text
    elif model.add_dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)


def _check(model: _Model, processor: SentencePieceProcessor, backend: Tokenizer) -> None:
    """TextError if something of the vocabulary, alone or after a user-defined symbol, gets other ids.

    It is there for models that were made or edited by other means than sentencepiece's trainer: their scores
    need not have an order that ranks can follow.
    """
    pieces = [*model.of_type(NORMAL, USER_DEFINED, BYTE), *_joined_runs(model)]
    starts = ["", *model.of_type(USER_DEFINED)[:1]]
    texts = [(start + piece).replace(SPACE, " ") for start in starts for piece in pieces]
    backend.encode_special_tokens = True
    encodings = backend.encode_batch_fast(texts, add_special_tokens=False)
    backend.encode_special_tokens = False
    for text, wanted, encoding in zip(texts, processor.encode(texts), encodings, strict=True):
        if wanted != encoding.ids:
            raise TextError(
                f"{model.path} cannot be made a fast tokenizer with its own ids: {text!r} would be {encoding.ids} and "
                f"not {wanted}. Use a model as sentencepiece's trainer makes it."
            )


def _joined_runs(model: _Model) -> set[str]:
    """Longer runs than the pieces that are runs of one character and score the same, as Llama 2's of ▁.

    TextError for other BPE pieces that can overlap and score the same: of these the left one must win,
    wherever it is.
    """
    scored = sorted(
        (score, piece) for piece, score, kind in model.pieces if kind == NORMAL and len(piece) > 1
    )
    runs = set()
    for _, group in groupby(scored if model.kind == BPE else [], key=lambda each: each[0]):
        tied = [piece for _, piece in group]
        ends: dict[str, set[str]] = {}
        for piece in tied if len(tied) > 1 else []:
            for at in range(1, len(piece)):
                ends.setdefault(piece[at:], set()).add(piece)
        for piece in tied:
            for other in set().union(*(ends.get(piece[:at], ()) for at in range(1, len(piece)))) - {piece}:
                if len({*piece, *other}) > 1:
                    raise TextError(
                        f"{model.path} has the pieces {other!r} and {piece!r}, which can overlap, with one score, which "
                        "a fast tokenizer cannot follow: use a model as sentencepiece's trainer makes it."
                    )
                runs.add(other + piece)
    return runs


def _literal(text: str) -> str:
    return "".join(map(_code, text))


def _set(letters: Iterable[str]) -> str:
    """The inside of a character class, neighbours as ranges."""
    codes = sorted({ord(letter) for letter in letters})
    runs = [list(run) for _, run in groupby(enumerate(codes), key=lambda pair: pair[1] - pair[0])]
    return "".join(f"\\x{{{run[0][1]:x}}}-\\x{{{run[-1][1]:x}}}" for run in runs)


def _code(letter: str) -> str:
    return f"\\x{{{ord(letter):x}}}"
