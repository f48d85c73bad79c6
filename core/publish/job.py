"""The act `push`: from what a run has made to a repository on the Hub, in one commit."""

import json
from pathlib import Path
from typing import Any

from core.errors import PublishError
from core.presets import base_model
from core.publish.card import card, curve_image
from core.publish.gate import out_of_date, why_not
from core.publish.hub import Upload
from core.publish.hub import push as push_to_hub
from core.publish.plan import REPLACES, What, asked, folder_to_publish, is_made, plan, to_publish
from core.publish.results import results
from core.runs.events import Noted, Published, Staged
from core.runs.store import Run
from core.spec import PublishSettings

LAST = "push.json"  # in the run's reports/: how it was last asked to be published; a token is none of it


def push(
    run: Run, to: str | None = None, what: What | None = None, private: bool | None = None, **others: Any
) -> str:
    """Publish; the card is written anew, and what is not there yet is merged or exported first. Returns the URL.

    PublishError before anything is sent if what would be sent was not compared with the tuned model, or differs.
    """
    planned = plan(run, to, what, private, **others)
    settings = asked(run, to=to, what=what, private=private, **others)
    _remember(run, settings)
    if settings.what != "adapter":
        _make(run, settings)
        if why := why_not(run, settings.what, settings.quantization):
            raise PublishError(why)
    run.events.append(Staged(stage=f"Publishing to {planned.repo_id}"))
    pushed = push_to_hub(
        planned.repo_id,
        _uploads(run, settings),
        private=settings.private,
        message=f"Publish {run.name} ({settings.what})",
        revision=settings.branch,
        create_pr=settings.pull_request,
        replaces=REPLACES[settings.what],
        report=lambda text: run.events.append(Noted(text=text)),
    )
    run.events.append(Published(repo_id=planned.repo_id, url=pushed.url, commit=pushed.commit))
    return pushed.url


def last(run: Run) -> dict[str, Any]:
    """How the run was last asked to be published, as options of the act `push`; empty if it never was."""
    try:
        return json.loads((run.reports / LAST).read_text("utf-8"))
    except FileNotFoundError:
        return {}


def _remember(run: Run, settings: PublishSettings) -> None:
    names = ("to", "what", "private", "branch", "pull_request", "quantization", "license")
    values = settings.model_dump(mode="json", include=set(names))
    run.reports.mkdir(exist_ok=True)
    beside = run.reports / f".{LAST}"
    beside.write_text(json.dumps(values, indent=1), "utf-8")
    beside.replace(run.reports / LAST)


def _make(run: Run, settings: PublishSettings) -> None:
    """Merge or export what is missing, or was made of other weights than the run has now."""
    if is_made(run, settings) and not out_of_date(run):
        return
    if settings.what == "merged":
        from core.publish.merge import merge

        merge(run)
    else:
        from core.publish.export import export

        export(run, settings.quantization)


def _uploads(run: Run, settings: PublishSettings) -> list[Upload]:
    folder = folder_to_publish(run, settings.what)
    text = card(run, settings.what, settings.to, settings.license, settings.quantization)
    return [
        *(
            Upload(path.relative_to(folder).as_posix(), cleaned(run, path))
            for path in to_publish(run, settings)
        ),
        *(Upload(path, content) for path, content in results(run).items()),
        Upload("README.md", text.encode()),
        Upload("curve.png", curve_image(run.progress())),
    ]


def cleaned(run: Run, path: Path) -> Path | bytes:
    """The file itself; an adapter's config without the folder in which a local base lies on this machine."""
    if path.name != "adapter_config.json":
        return path
    config = json.loads(path.read_text("utf-8"))
    if Path(base_model(run.spec.model.base)).is_dir():
        config["base_model_name_or_path"] = Path(run.spec.model.base).name
    return json.dumps(config, indent=2).encode()
