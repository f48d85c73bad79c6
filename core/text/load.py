"""What a run writes and reads text with, made from its settings alone; torch is not needed."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from core.spec import RunSpec
from core.text.contract import hold
from core.text.templates import Template, add_chat_tokens, choose, template_for
from core.text.tokenizers import load_tokenizer, source_of


@dataclass(frozen=True)
class Text:
    """What turns conversations into ids and back; the same object in training, chat and export."""

    tokenizer: PreTrainedTokenizerFast
    template: Template
    added: tuple[str, ...]  # tokens that the base's tokenizer did not have: of the template, and padding

    @property
    def added_ids(self) -> list[int]:
        return self.tokenizer.convert_tokens_to_ids(list(self.added))

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.template.stop_ids(self.tokenizer)


def load_text(spec: RunSpec) -> Text:
    """The tokenizer with the tokens that its template needs, and the template.

    TextError if either cannot be trusted, or if the tokenizer breaks its contract; there is never another one.
    """
    tokenizer = load_tokenizer(*source_of(spec.model))
    if spec.model.tokenizer_contract:
        hold(spec.model.tokenizer_contract, tokenizer, spec.model.tokenizer or spec.model.base)
    choice = choose(spec.template, tokenizer)
    added = add_chat_tokens(tokenizer, choice.chat_tokens, choice.stops)
    return Text(tokenizer, template_for(spec.template, tokenizer, choice), added)
