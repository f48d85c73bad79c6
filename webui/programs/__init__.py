"""What programs may ask of the page's server: each act once more, as a function with a name, types and words.

The pages' own events take what pages hold, fifty fields and the browser's memory; a program is given these instead.

Client("http://127.0.0.1:7860").predict(run="poems-1", api_name="/run")          python -m webui.programs

The docstrings of the acts are the documentation: of `client.view_api()`, of the tools that `atelier ui --mcp` offers, and of
docs/programs.md, whose reference the second command prints. So they speak to whoever calls, and what is said of a parameter
stands on one line.
"""

import gradio as gr

from webui.programs.acts import acts
from webui.programs.data import Data
from webui.programs.publishing import Publishing
from webui.programs.refusing import in_one_sentence
from webui.programs.runs import Runs
from webui.programs.scores import Scores
from webui.programs.talking import Talking
from webui.programs.training import Training
from webui.shared import Shared

AT_ONCE = 4  # processes that read examples for programs at the same time

GROUPS = {
    "Data": Data, "Training": Training, "Runs": Runs, "Scores": Scores, "Talking": Talking, "Publishing": Publishing
}  # fmt: skip
SLOW = ("check_data", "save_data", "plan", "train")  # a process reads examples meanwhile


def offer(shared: Shared) -> None:
    """Declare the acts, within the page that is being built and before its rooms, whose own events have some of the names."""
    for group in GROUPS.values():
        for name, act in acts(group(shared)):
            limit = {"concurrency_limit": AT_ONCE if name in SLOW else None, "concurrency_id": name}
            gr.api(in_one_sentence(act, name), api_name=name, **limit)


def hide_the_pages(page: gr.Blocks) -> None:
    """What is left to the pages' own buttons is shown to no program, since it takes what pages hold; who knows its name can
    call it, so it counts as an act all the same."""
    ours = {name for group in GROUPS.values() for name, _ in acts(group)}
    for event in page.fns.values():
        if event.api_visibility == "public" and event.api_name not in ours:
            event.api_visibility = "undocumented"
