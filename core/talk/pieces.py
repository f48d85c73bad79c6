"""Text of an answer as it grows, token by token, without ever showing half a character."""

import re

from transformers import PreTrainedTokenizerFast

from core.evaluate.generate import decode

BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # in SentencePiece, one byte of a character that has no piece
REPLACEMENT = "\ufffd"  # what bytes that are no whole character decode to


class Pieces:
    """`add` each token, then `rest`: together they return decode(tokenizer, all the tokens), whatever the tokens.

    Tokens are decoded together with the few that were shown before them, because a token's text depends on its
    neighbours: the first one of a text loses its leading space, and a character may be spread over several.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self._silent = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._left = 0  # where the neighbours begin
        self._shown = 0  # tokens whose text was returned

    def add(self, token: int) -> str:
        """The text that is certain now; empty while a character may be incomplete."""
        self.ids.append(token)
        # One byte that does not fit makes the decoder give up on the whole run of them, also on those before; a token
        # that has no text does not end the run, nor does a row of the model that the tokenizer knows nothing of.
        piece = self.tokenizer.convert_ids_to_tokens(token)
        if piece is None or token in self._silent or BYTE.fullmatch(piece):
            return ""
        text = self.rest()
        if text.endswith(REPLACEMENT):
            return ""
        self._left, self._shown = self._shown, len(self.ids)
        return text

    def rest(self) -> str:
        """What is held back; at the end of an answer, what never became whole."""
        neighbours = decode(self.tokenizer, self.ids[self._left : self._shown])
        return decode(self.tokenizer, self.ids[self._left :])[len(neighbours) :]
