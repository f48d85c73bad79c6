"""What the model answers to evaluate.prompts, at every measurement of the held-out loss."""

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

from core.data.examples import Message
from core.errors import TextError
from core.evaluate.generate import answer, room
from core.runs.events import Noted, Sampled
from core.runs.store import Run
from core.text.load import Text


class Sampler:
    """Greedy answers of a model in training, which is left as it was: training goes on as if nobody had asked."""

    def __init__(self, run: Run, text: Text, questions: Sequence[str], max_new_tokens: int) -> None:
        self.run = run
        self.text = text
        self.max_new_tokens = max_new_tokens
        self.asked: list[tuple[str, list[int]]] = []
        for question in questions:
            try:
                self.asked.append(
                    (question, text.template.prompt_ids([Message("user", question)], text.tokenizer))
                )
            except TextError as error:
                self._leave_out(question, str(error))

    def sample(self, model: PreTrainedModel, step: int) -> Iterator[Sampled]:
        """An answer to each question; none if the run is asked to stop meanwhile."""
        for each in [each for each in self.asked if room(model, each[1]) < 1]:
            self.asked.remove(each)
            self._leave_out(each[0], "It fills the model's context.")
        if not self.asked:
            return
        questions, prompts = zip(*self.asked, strict=True)
        training = model.training
        gpus = [model.device] if model.device.type == "cuda" else []
        model.eval()
        # Decoding greedily draws no random number; what a model's own code might draw is given back.
        with torch.random.fork_rng(gpus):
            answers = answer(
                model,
                self.text.tokenizer,
                prompts,
                self.text.stop_ids,
                self.max_new_tokens,
                should_stop=self.run.stop_requested,
            )
        model.train(training)
        for question, said in zip(questions, answers or (), strict=False):
            yield Sampled(step=step, question=question, answer=said.text, ended=said.ended)

    def _leave_out(self, question: str, why: str) -> None:
        text = f"The question {question[:80]!r} of evaluate.prompts is not asked: {why}"
        self.run.events.append(Noted(text=text, warning=True))
