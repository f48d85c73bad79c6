"""The act `push`: from a run's final/ to a repository on the Hub, in one commit."""

import json
from pathlib import Path

from core.presets import base_model
from core.publish.card import card, curve_image
from core.publish.hub import Upload
from core.publish.hub import push as push_to_hub
from core.publish.plan import What, folder_to_publish, plan, publishable
from core.runs.events import Noted, Published, Staged
from core.runs.store import Run


def push(run: Run, to: str | None = None, what: What | None = None, private: bool | None = None) -> str:
    """Publish; the card is written anew, the weights are merged first where that was not done. Returns the URL."""
    planned = plan(run, to, what, private)
    folder = folder_to_publish(run, planned.what)
    if planned.what == "merged" and not folder.is_dir():
        from core.publish.merge import merge

        merge(run)
    uploads = [Upload(path.relative_to(folder).as_posix(), _clean(run, path)) for path in publishable(folder)]
    uploads.append(Upload("README.md", card(run, planned.what, planned.repo_id).encode()))
    uploads.append(Upload("curve.png", curve_image(run.progress())))
    run.events.append(Staged(stage=f"Publishing to {planned.repo_id}"))
    pushed = push_to_hub(
        planned.repo_id,
        uploads,
        private=planned.private,
        message=f"Publish {run.name} ({planned.what})",
        report=lambda text: run.events.append(Noted(text=text)),
    )
    run.events.append(Published(repo_id=planned.repo_id, url=pushed.url, commit=pushed.commit))
    return pushed.url


def _clean(run: Run, path: Path) -> Path | bytes:
    """The file itself; an adapter's config without the folder in which a local base lies on this machine."""
    if path.name != "adapter_config.json":
        return path
    config = json.loads(path.read_text("utf-8"))
    if Path(base_model(run.spec.model.base)).is_dir():
        config["base_model_name_or_path"] = Path(run.spec.model.base).name
    return json.dumps(config, indent=2).encode()
