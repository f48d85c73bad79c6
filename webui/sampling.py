"""How the models answer: the settings below a conversation, which the browser keeps over a reload, as it does the conversation."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from core.runs import Run
from core.talk.learnt import is_single_turn
from webui.language import t
from webui.shared import POLL
from webui.talks import Sampling
from webui.turns import is_whole

SIDES = {"both": ("tuned", "base"), "tuned": ("tuned",), "base": ("base",)}
COLDEST, HOTTEST = 0, 2
SHORTEST, LONGEST = 16, 1024  # tokens
MOST_SEED = 2**53  # as far as JavaScript counts
START = {"who": "both", "seed": 42, "temperature": 0.7, "longest": 128, "alone": False, "system": ""}
# What of it a browser may have kept, since it can send anything.
FITS: dict[str, Callable[[Any], bool]] = {
    "who": lambda kept: isinstance(kept, str) and kept in SIDES,
    "seed": lambda kept: kept is None or (_is_number(kept) and abs(kept) <= MOST_SEED),
    "temperature": lambda kept: _is_number(kept) and COLDEST <= kept <= HOTTEST,
    "longest": lambda kept: _is_number(kept) and SHORTEST <= kept <= LONGEST,
    "alone": lambda kept: isinstance(kept, bool),
    "system": lambda kept: isinstance(kept, str) and is_whole(kept),
}
NAMES = ", ".join(START)
# For `js=`, of the run and the settings. Not before they are recalled: what the page begins with would be kept over them.
KEEP = f"""(run, {NAMES}) => document.querySelector('#talk').recalled ? {{run, {NAMES}}} : {{__type__: 'update'}}"""
RECALLED = "() => { document.querySelector('#talk').recalled = true }"
WHEN_RECALLED = """async () => {
  while (!document.querySelector('#talk').recalled) await new Promise(again => setTimeout(again, 50));
}"""
Settings = tuple[Any, ...]


def draw() -> list[gr.components.Component]:
    """The settings, in the order of START."""
    choices = [(t("Both"), "both"), (t("Tuned"), "tuned"), (t("Base"), "base")]
    with gr.Row(elem_classes="settings"):
        who = gr.Radio(choices, value=START["who"], label=t("Who answers"), elem_id="side")
        temperature = gr.Slider(
            COLDEST, HOTTEST, value=START["temperature"], step=0.1, label=t("Temperature"),
            info=t("0 always takes the likeliest token."), elem_id="temperature",
        )  # fmt: skip
        longest = gr.Slider(
            SHORTEST, LONGEST, value=START["longest"], step=16, label=t("Longest answer"), info=t("In tokens."),
            elem_id="longest",
        )  # fmt: skip
    with gr.Row(elem_classes="settings"):
        with gr.Column(min_width=240):
            seed = gr.Number(
                START["seed"],
                precision=0,
                label=t("Seed"),
                info=t("Both draw with the same one. The same seed gives the same answer; empty draws anew."),
                elem_id="seed",
            )
            new = gr.Button(t("New seed"), size="sm", elem_id="new-seed")
        with gr.Column(scale=2, min_width=300):
            system = gr.Textbox(
                START["system"],
                label=t("System prompt"),
                info=t("Read before the conversation; empty for none."),
                lines=3,
                elem_id="system",
            )
            alone = gr.Checkbox(
                START["alone"],
                label=t("Answer each question by itself"),
                info=t(
                    "As if nothing had been said before. So it is at first where a run's examples had one question each."
                ),
                elem_id="alone",
            )
    new.click(None, None, seed, js="() => Math.floor(Math.random() * 2 ** 31)", **POLL)
    return [who, seed, temperature, longest, alone, system]


def sides_and_sampling(settings: Settings) -> tuple[tuple[str, ...], Sampling]:
    who, seed, temperature, longest, alone, system = settings
    return SIDES[who], Sampling(temperature, longest, system, None if seed is None else int(seed), alone)


def another_seed(settings: Settings, seed: int | None) -> Settings:
    """The settings, with which whatever was drawn with this seed comes out differently."""
    who, now, *rest = settings
    return (who, now + 1 if now is not None and now == seed else now, *rest)


def alone(run: Run | None) -> bool:
    """Whether a conversation with the run begins with each question answered by itself."""
    return run is not None and is_single_turn(run)


def recalled(kept: Any, run: Run | None) -> list[Any]:
    """The settings that a browser kept, in their order; what it did not keep so stays as it is. Of another run, whether each
    question is answered by itself is nothing to go by."""
    kept = kept if isinstance(kept, dict) else {}
    if run is None or kept.get("run") != run.name:
        kept = kept | {"alone": alone(run)}
    return [kept[name] if name in kept and fits(kept[name]) else gr.skip() for name, fits in FITS.items()]


def _is_number(kept: Any) -> bool:
    return isinstance(kept, int | float) and not isinstance(kept, bool)
