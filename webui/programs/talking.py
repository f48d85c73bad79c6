"""Acts that ask a trained model, and its base."""

from dataclasses import asdict
from typing import Literal

from core.errors import RunError
from webui.programs.acts import Acts, Told
from webui.talks import Said, Sampling, Turn
from webui.visitors import page

Side = Literal["tuned", "base"]


class Talking(Acts):
    def load(self, run: str) -> Told:
        """Load a run's tuned model and its base, and wait until they can answer; `ask` does so, too. Another run's are unloaded.

        Args:
            run: Name of the run, trained to its end.

        Returns:
            base, tuned, shared (both are one copy of the weights), memory_bytes
        """
        return asdict(self.shared.talks.open(self.shared.run(run)).ready())

    def unload(self) -> Told:
        """Unload the models that answer, which gives their memory back.

        Returns:
            state: closed
        """
        self.shared.talks.close()
        return {"state": self.shared.talks.state}

    def ask(
        self,
        run: str,
        messages: list[dict[str, str]],
        side: Side = "tuned",
        temperature: float = 0.7,
        max_new_tokens: int = 256,
        seed: int | None = None,
    ) -> Told:
        """Ask the tuned model, or its base. Answers come whole; for one that comes piece by piece: `atelier serve`.

        Args:
            run: Name of the run, trained to its end.
            messages: The conversation: {"role": "user", "content": "..."}, with assistant's in turn; system's may come first.
            side: Who answers.
            temperature: 0 always takes the likeliest token.
            max_new_tokens: Longest answer, in tokens.
            seed: The same seed gives the same answer.

        Returns:
            text, ended (turn; length or context: cut off there; stopped), tokens, seconds
        """
        found = self.shared.run(run)
        system, turns, question = conversation(messages, side)
        sampling = Sampling(temperature=temperature, max_new_tokens=max_new_tokens, system=system, seed=seed)
        *_, grown = self.shared.talks.converse(
            found, turns, question, (side,), sampling, page(), several=True
        )
        return asdict(grown[-1].answers[side])

    def stop_answer(self) -> Told:
        """End the answers that this client is being given: `ask` returns them as far as they came. Nobody else's end.

        Returns:
            state: closed, loading or ready, of the models
        """
        self.shared.talks.stop(page())
        return {"state": self.shared.talks.state}


def conversation(messages: list[dict[str, str]], side: Side) -> tuple[str, list[Turn], str]:
    """System prompt, earlier turns, and the question that is to be answered. RunError if the messages are no conversation."""
    rest = [(each.get("role"), each.get("content", "")) for each in messages]
    system = rest.pop(0)[1] if rest and rest[0][0] == "system" else ""
    roles = ["assistant" if place % 2 else "user" for place in range(len(rest))]
    if len(rest) % 2 == 0 or [role for role, _ in rest] != roles:
        raise RunError(
            "The messages must be a conversation that ends with a question: system if there is one, then user and assistant "
            "in turn, user last."
        )
    said = [content for _, content in rest]
    turns = [
        Turn(question, {side: Said(answer, "turn")})
        for question, answer in zip(said[:-1:2], said[1::2], strict=True)
    ]
    return system, turns, said[-1]
