"""What a tokenizer must be, held against what it is: a run with another one is refused before it begins."""

from transformers import PreTrainedTokenizerFast

from core.errors import TextError
from core.spec import TokenizerContract

OFFICES = ("pad", "unk", "bos", "eos")


def hold(contract: TokenizerContract, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
    """TextError, with what was found and what is wanted, if a tokenizer that nothing was added to is another."""
    found, wanted = [], []
    for office in OFFICES:
        want, have = getattr(contract, f"{office}_id"), getattr(tokenizer, f"{office}_token_id")
        if want is not None and want != have:
            found.append(f"no {office}" if have is None else f"{office} {have}")
            wanted.append(f"{office} {want}")
    size = tokenizer.vocab_size
    if contract.vocabulary_size not in (None, size):
        found.append(f"{size:,} pieces")
        wanted.append(f"{contract.vocabulary_size:,} pieces")
    kinds = _kinds(tokenizer)
    if contract.kind and contract.kind not in kinds:
        found.append(f"the kind {kinds[0]}")
        wanted.append(f"the kind {contract.kind}")
    if found:
        raise TextError(
            f"The tokenizer {name} breaks model.tokenizer_contract, with {_listed(found)} instead of {_listed(wanted)}: "
            "name the one that the model was trained with."
        )


def _kinds(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Its algorithm; and sentencepiece for BPE or unigram whose spaces are ▁, wherever it was converted."""
    algorithm = type(tokenizer.backend_tokenizer.model).__name__.lower()
    pieces = tokenizer.backend_tokenizer.encode("a b", add_special_tokens=False).tokens
    is_piece = algorithm in ("bpe", "unigram") and any("▁" in piece for piece in pieces)
    return [algorithm, "sentencepiece"] if is_piece else [algorithm]


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
