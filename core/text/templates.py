"""Which template a run writes its conversations with, and the tokens that a tokenizer needs for it.

One Template object makes what is trained, what is asked and what is exported. The kinds: chatml (core.text.chatml),
instruct and plain (core.text.sections), and own, the base's chat template (core.text.own).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from transformers import AddedToken, PreTrainedTokenizerFast

from core.data.examples import Message
from core.errors import TextError
from core.spec import TemplateSettings
from core.text.chatml import CHAT_TOKENS, IM_END, IM_START, ChatML
from core.text.own import Own, own_template, refuse_doubt
from core.text.sections import Instruct, Plain
from core.text.writing import Part, Template, Turn, Words, Written

__all__ = [
    "CHAT_TOKENS",
    "IM_END",
    "IM_START",
    "Choice",
    "Part",
    "Template",
    "Turn",
    "Written",
    "add_chat_tokens",
    "choose",
    "special_ids",
    "template_for",
]

PADDING = "<|pad|>"
BEGINNINGS = ("A", "a", "É", "1", "-", "(", '"', "日", "🙂")  # of answers, to try a tokenizer with


class Choice(NamedTuple):
    """A kind of template, what is needed for it, and why it is this one."""

    kind: str
    reason: str
    chat_tokens: tuple[str, ...]  # that the tokenizer must have
    stops: tuple[str, ...]  # that end an answer, so none of them can be padding


def choose(settings: TemplateSettings, tokenizer: PreTrainedTokenizerFast) -> Choice:
    """The kind that the settings name; for auto the base's own template where it can be used without doubt.

    The tokenizer stays as it is. TextError if `own` is asked for and cannot be used at all.
    """
    if settings.kind == "own":
        stops = _own(settings, tokenizer).stops
        return Choice("own", f"template.kind says so.{_sent_along(settings)}", (), stops)
    if settings.kind != "auto":
        return _without_own(settings.kind, "template.kind says so.", tokenizer)
    if not tokenizer.chat_template:
        return _without_own("chatml", "The base's tokenizer has no chat template of its own.", tokenizer)
    for kind in MAKERS:
        if tokenizer.chat_template in _exports(kind, settings, tokenizer):
            return _without_own(
                kind, f"The base's chat template is {kind}, as it is written here.", tokenizer
            )
    try:
        template = _own(settings, tokenizer)
        refuse_doubt(template)
        if not all(_is_asked_as_trained(template, tokenizer, answer) for answer in BEGINNINGS):
            raise TextError("The tokenizer joins the first letters of answers with what stands before them.")
    except TextError as error:
        why = str(error).removesuffix(" Set template.kind to chatml.")
        return _without_own("chatml", f"Not the model's own: {why}", tokenizer)
    reason = f"The base's own chat template can be used without doubt.{_sent_along(settings)}"
    return Choice("own", reason, (), template.stops)


def template_for(
    settings: TemplateSettings, tokenizer: PreTrainedTokenizerFast, choice: Choice | None = None
) -> Template:
    """The template of a tokenizer that has its chat tokens; the tokenizer gets the exported form of it.

    TextError if the tokenizer cannot end an answer or runs its first letters into what stands before, or if
    the system prompt would command it.
    """
    choice = choice or choose(settings, tokenizer)
    if choice.kind == "own":
        template = replace(_own(settings, tokenizer), reason=choice.reason)
        candidates, answers = [template], BEGINNINGS[:2]
    else:
        candidates, answers = _made(choice.kind, settings, tokenizer), BEGINNINGS
    for template in candidates:
        if all(_is_asked_as_trained(template, tokenizer, answer) for answer in answers):
            if choice.kind != "own":  # its text stays as it came, and so do others that came with it
                tokenizer.chat_template = template.jinja
            return replace(template, reason=choice.reason)
    raise TextError(
        f"The tokenizer joins the first letters of an answer with what the template {choice.kind} puts before it, so "
        "that the model would be asked with other tokens than it was trained with: use another tokenizer."
    )


def add_chat_tokens(
    tokenizer: PreTrainedTokenizerFast,
    chat_tokens: Sequence[str] = CHAT_TOKENS,
    stops: Sequence[str] = (IM_END,),
) -> tuple[str, ...]:
    """Give the tokenizer chat tokens and a padding token of its own; those that are new, in order of ids.

    Each new token needs a row in the model's embedding. Padding must be none of the tokens that end an
    answer: who makes labels by leaving out padding would leave out the ending, and the model would never
    learn to stop. So where a tokenizer has no padding token, or uses its end-of-sequence token, a token takes
    its place that the vocabulary has for it ("pad" in its name), or that it keeps free ("reserved",
    "unused"); `<|pad|>` is added if there is none. It is never the unknown token, which stands for text, nor
    a chat token, which stands in every prompt: generation without an attention mask takes padding tokens in a
    prompt for padding.
    """
    known, special = tokenizer.get_vocab(), special_ids(tokenizer)
    _add(tokenizer, [token for token in chat_tokens if token not in special])
    if tokenizer.pad_token is None or tokenizer.pad_token in (tokenizer.eos_token, *stops):
        taken = {*CHAT_TOKENS, *stops, tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token}
        free = [token for token in special if token not in taken]
        found = [token for word in ("pad", "reserved", "unused") for token in free if word in token.lower()]
        tokenizer.pad_token = next(iter(found), PADDING)
        _add(tokenizer, [] if found else [PADDING])
    return tuple(token for token in (*chat_tokens, tokenizer.pad_token) if token not in known)


def special_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """Every token that is read as such wherever it stands in a text, in order of ids."""
    tokens = sorted(tokenizer.added_tokens_decoder.items())
    return {token.content: number for number, token in tokens if token.special}


def _made(kind: str, settings: TemplateSettings, tokenizer: PreTrainedTokenizerFast) -> Iterator[Template]:
    """The ways to write this kind with this tokenizer, the best first."""
    if tokenizer.eos_token is None:
        raise TextError(
            "The tokenizer has no end-of-sequence token, so answers would never end: use another one, or name a token "
            "as eos_token in its tokenizer_config.json (a SentencePiece model is trained with eos_id)."
        )
    begin, end, special = _put_first(tokenizer), tokenizer.eos_token, tuple(special_ids(tokenizer))
    if strange := [token for token in (*begin, end) if token not in special]:
        raise TextError(
            f"The tokenizer puts {strange[0]} at an end of texts but has no such special token: use another."
        )
    yield from MAKERS[kind](begin, end, _system(settings, special), special)


def _own(settings: TemplateSettings, tokenizer: PreTrainedTokenizerFast) -> Own:
    special = tuple(special_ids(tokenizer))
    return own_template(tokenizer, special, _put_first(tokenizer), _system(settings, special))


Maker = Callable[[tuple[str, ...], str, str | None, tuple[str, ...]], Iterator[Template]]


def _chatml(
    begin: tuple[str, ...], end: str, system: str | None, special: tuple[str, ...]
) -> Iterator[Template]:
    stops = tuple(dict.fromkeys((IM_END, end)))
    return (ChatML(begin, stops, system, special, ask=ask) for ask in ChatML.asks)


def _instruct(
    begin: tuple[str, ...], end: str, system: str | None, special: tuple[str, ...]
) -> Iterator[Template]:
    return (Instruct(begin, (end,), system, special, newline_is_asked=asked) for asked in Instruct.asks)


def _plain(
    begin: tuple[str, ...], end: str, system: str | None, special: tuple[str, ...]
) -> Iterator[Template]:
    return (Plain(begin, (end,), system, special, newline_is_asked=asked) for asked in Plain.asks)


MAKERS: dict[str, Maker] = {"chatml": _chatml, "instruct": _instruct, "plain": _plain}


def _sent_along(settings: TemplateSettings) -> str:
    """What whoever serves the model has to know of a template that stays as it came."""
    return (
        " It does not hold template.system, which has to be sent with each chat." if settings.system else ""
    )


def _without_own(kind: str, reason: str, tokenizer: PreTrainedTokenizerFast) -> Choice:
    tokens = CHAT_TOKENS if kind == "chatml" else ()
    return Choice(kind, reason, tokens, (IM_END,) if kind == "chatml" else ())


def _exports(kind: str, settings: TemplateSettings, tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The chat templates that a run with these settings can have left in its tokenizer."""
    if tokenizer.eos_token is None or not {*_without_own(kind, "", tokenizer).chat_tokens} <= {
        *special_ids(tokenizer)
    }:
        return []
    return [template.jinja for template in _made(kind, settings, tokenizer)]


def _system(settings: TemplateSettings, special: tuple[str, ...]) -> str | None:
    """The system prompt, trimmed; TextError if it would command the tokenizer."""
    found: list[str] = []
    system = Words(special).clean((settings.system or "").strip(), found)
    if found:
        raise TextError(
            f"template.system holds {found[0]}, a special token of the tokenizer: write it otherwise."
        )
    return system or None


def _is_asked_as_trained(template: Template, tokenizer: PreTrainedTokenizerFast, answer: str) -> bool:
    question = Message("user", "?")
    prompt = template.prompt_ids([question], tokenizer)
    whole = tokenizer(
        template.write([question, Message("assistant", answer)]).text, add_special_tokens=False
    ).input_ids
    return whole[: len(prompt)] == prompt


def _put_first(tokenizer: PreTrainedTokenizerFast) -> tuple[str, ...]:
    """The special tokens that the tokenizer begins a text with when called with its defaults."""
    alone = tokenizer("a", add_special_tokens=False).input_ids
    ids = tokenizer("a").input_ids
    starts = [at for at in range(len(ids) - len(alone) + 1) if ids[at : at + len(alone)] == alone]
    return tuple(tokenizer.convert_ids_to_tokens(ids[: starts[0]])) if starts else ()


def _add(tokenizer: PreTrainedTokenizerFast, tokens: list[str]) -> None:
    tokenizer.add_tokens(
        [AddedToken(each, special=True, normalized=False) for each in tokens], special_tokens=True
    )
