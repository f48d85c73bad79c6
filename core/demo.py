"""The whole road on the sample data, each step printed as the command that a person would type."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core import data
from core.commands import how_to_call
from core.data.report import as_dict, summary
from core.evaluate.report import Report, read
from core.evaluate.reports import words
from core.evaluate.reports.terminal import scores
from core.presets import resolve
from core.publish.plan import in_bytes, publishable
from core.runs import Run, RunStore, jobs
from core.show import follow_run, printable

SAMPLE = "sample:fables-en"
# None of them is in the sample data: two ask for a tale in other words, one for what Fable cannot know.
QUESTIONS = ("Who raised Mowgli?", "Why couldn't the princess sleep?", "What is the capital of Italy?")


def demo(runs: Path) -> int:
    """Exit status 0 when every step came to its end."""
    console = Console(highlight=False)
    store = RunStore(runs)
    name = store.free_name("demo")

    _step(console, "What is in the data?", f"atelier data check {SAMPLE}")
    console.print(summary(as_dict(data.read([SAMPLE]))), markup=False, soft_wrap=True)

    _step(
        console, "Train, and score it against its base", f"atelier train {SAMPLE} --preset tiny --name {name}"
    )
    run = store.create(
        name,
        resolve("tiny", overrides={"data": {"files": (SAMPLE,)}, "evaluate": {"prompts": QUESTIONS}}),
        "tiny",
    )
    if not _done(run, "train"):
        return 1
    report = read(run)
    found = words.summary(report)
    console.print(Text(found.headline, style="bold"))
    console.print(scores(report, console))
    forgotten = words.forgetting(report)
    for line in (*found.sentences, forgotten.headline, *filter(None, [forgotten.advice])):
        console.print(line, style="dim", markup=False)

    _step(console, "Ask both", f'atelier chat {name} --side both "..."')
    console.print(answers_table(report))

    _step(console, "Make a folder that can be published", f"atelier merge {name}")
    if not _done(run, "merge"):
        return 1
    for path in publishable(run.folder / "merged") + [run.folder / "merged" / "README.md"]:
        console.print(f"  {path}  {in_bytes(path.stat().st_size)}", soft_wrap=True)
    _step(console, "From here", f"atelier push {name} --to you/{name}")
    console.print(
        f"  atelier chat {name}     atelier ui     atelier data show your.jsonl     atelier train your.jsonl"
    )
    if sentence := how_to_call():
        console.print(f"\n{sentence}", markup=False, soft_wrap=True)
    return 0


def answers_table(report: Report) -> Table:
    table = Table("question", "base", "tuned", show_lines=True)
    for each in report.prompts:
        table.add_row(*(Text(printable(text)) for text in (each.question, each.base.text, each.tuned.text)))
    return table


def _step(console: Console, title: str, command: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print(Text(f"$ {command}", style="cyan"), soft_wrap=True)


def _done(run: Run, act: jobs.Act) -> bool:
    before = run.progress()
    jobs.start(run, act)
    return follow_run(run, before=before).state == "finished"
