"""What every verb needs: the command itself, its arguments' declarations, and how an act is begun and watched."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

import core
from core.errors import UserError
from core.runs.events import Act, Progress
from core.runs.store import Run
from core.spec import RunSpec

app = App(
    default_parameter=Parameter(negative_iterable=(), consume_multiple=True),
    name="atelier",
    version=core.__version__,
    help="Fine-tune a language model: from a file of examples to a model that you can trust, talk to and publish.",
    help_format="plaintext",
)
data = App(name="data", help="Look at examples before anything is trained on them.", help_format="plaintext")
app.command(data)
line = App(
    name="queue", help="Runs that wait for an accelerator: one job at a time has it.", help_format="plaintext"
)
app.command(line)

Files = Annotated[
    tuple[str, ...],
    Parameter(
        help="Files of examples (JSON lines, JSON, CSV, TSV, Parquet, text, Markdown), hf:OWNER/NAME of the Hub, or "
        "sample:fables-en, sample:fables-fr."
    ),
]
Preset = Annotated[str, Parameter(help="What to start from: tiny, small or 3090.")]
Config = Annotated[Path | None, Parameter(help="A YAML file of settings, laid over the preset.")]
Runs = Annotated[Path, Parameter(env_var="ATELIER_RUNS", help="The folder in which runs are kept.")]
Json = Annotated[bool, Parameter(negative="", help="Print one JSON object, for programs.")]
Settings = Annotated[RunSpec | None, Parameter(name="*", group="Settings")]
ForceCpu = Annotated[
    bool,
    Parameter(
        negative="",
        help="Train without a GPU though it takes more than an hour; short for --compute.force-cpu.",
    ),
]
STOPPED = 130  # the exit status of what Ctrl-C ended, as in every shell

RunName = Annotated[str, Parameter(help="The name of a run; see `atelier runs`.")]


def harmless(said: object) -> str:
    """An error's words, in which names from outside command no terminal."""
    from core.data.remarks import visible

    return "\n".join(map(visible, str(said).splitlines()))


def is_sure(question: str) -> bool:
    """Whether a person at a terminal says yes; where there is none, nobody does."""
    if not sys.stdin.isatty():
        raise UserError(f"{question} Nobody is here to ask: say so with --yes.")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def show_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def spec_of(files: Sequence[str], preset: str, config: Path | None, settings: RunSpec | None) -> RunSpec:
    from core.presets import resolve_and_tell
    from core.spec import merge

    flags = settings.model_dump(exclude_unset=True) if settings else {}
    given = merge(flags, {"data": {"files": tuple(files)}} if files else {})
    spec, remarks = resolve_and_tell(preset, config, given)
    for remark in remarks:
        print(f"{config}: {harmless(remark)}", file=sys.stderr)
    return spec


def forced(spec: RunSpec, force_cpu: bool) -> RunSpec:
    compute = spec.compute.model_copy(update={"force_cpu": spec.compute.force_cpu or force_cpu})
    return spec.model_copy(update={"compute": compute})


def carry_out(run: Run, act: Act, follow: bool, json: bool, quiet: bool = False, **options: Any) -> int:
    """Start an act and watch it; what happened in the run before is not said again."""
    from core.runs import jobs

    before = run.progress()
    jobs.start(run, act, **options)
    if follow:
        return follow_to_its_end(run, json, quiet=quiet, before=before)
    if json:
        show_json({"run": run.name, "folder": str(run.folder)})
    else:
        print(f"{run.name} goes on by itself: atelier watch {run.name}")
    return 0


def follow_to_its_end(
    run: Run, json: bool, *, leave: bool = False, quiet: bool = False, before: Progress | None = None
) -> int:
    from core.show import follow_run, run_as_dict

    progress = follow_run(run, quiet=json or quiet, leave=leave, before=before)
    if json:
        show_json(run_as_dict(run, progress))
    return {"finished": 0, "stopped": STOPPED, "failed": 1, "lost": 1}.get(progress.state, 0)
