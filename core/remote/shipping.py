"""What a machine of HF Jobs gets for a run, as files of the run's private repository.

spec.yaml           the settings, with data files named as they lie there
data/0/poems.jsonl  every file of examples that lies on this machine, and the tasks that are files, with theirs
code/               this package as it is here, and requirements.txt
presets/            beside it in code/, without the embedded model where the base is another

A repository and not a bucket, because every account has them, every client reads them, and the same commits carry the
checkpoints back. The code as plain files and not as an address: what runs there is what was planned here, to the letter,
and can be read where it lies. The job is given the commit, so that nobody changes it under its feet.
"""

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import requires
from itertools import count
from pathlib import Path

import yaml

from core.data.files.opening import expand, is_on_the_hub
from core.errors import SpecError
from core.evaluate.tasks import HARNESS, YAML, read, tasks
from core.presets import FABLE, PRESETS
from core.publish.hub import Upload
from core.spec import RunSpec, merge

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"  # has uv, and the compiler that kernels are made with
CLIENT = "huggingface_hub"
# Packages that a setting asks for beside the usual ones; pinned where requirements-extras.txt is at hand.
ASKED = {"qlora": "bitsandbytes", "adamw_8bit": "bitsandbytes", "deepspeed": "deepspeed"}

# What the machine does first: fetch the repository as it was, and be what lies in it.
FETCH = """
import os, sys
from huggingface_hub import snapshot_download
repo, revision, attempt = sys.argv[1:]
here = snapshot_download(repo, revision=revision, local_dir="atelier", allow_patterns=["spec.yaml", "data/*", "code/*"])
os.chdir(here)
os.environ["PYTHONPATH"] = os.path.join(here, "code")
packages = ["uv", "run", "--no-project", "--with-requirements", "code/requirements.txt"]
os.execvp("uv", [*packages, "python", "-u", "-m", "core", "remote", "carry", repo, attempt])
"""


def command(repo: str, attempt: int, revision: str) -> list[str]:
    """What the job runs; it holds no secret."""
    client = next(each for each in _pins() if each.startswith(f"{CLIENT}=="))
    fetch = ["uv", "run", "--no-project", "--with", client, "python", "-c", FETCH]
    return [*fetch, repo, revision, str(attempt)]


def shipment(spec: RunSpec) -> list[Upload]:
    """All files; SpecError if the run needs what cannot be sent."""
    shipped, files = _with_its_files(spec)
    return [
        Upload("spec.yaml", yaml.safe_dump(shipped, sort_keys=False, allow_unicode=True).encode()),
        *(Upload(name, path) for name, path in files),
        Upload("code/requirements.txt", "\n".join(_packages(spec)).encode()),
        *(Upload(f"code/{path.relative_to(ROOT).as_posix()}", path) for path in _code(spec)),
    ]


def check(spec: RunSpec) -> None:
    """SpecError for settings that a machine of HF Jobs cannot honour. Asks nobody: before a run is made."""
    compute = spec.compute
    if not compute.flavor:
        raise SpecError(
            "compute.where is hf-jobs and compute.flavor names no machine: `atelier remote flavors` lists them with prices."
        )
    if compute.machines > 1:
        raise SpecError(
            "compute.machines is for machines of your own: with HF Jobs, take a compute.flavor with several GPUs."
        )
    for name in ("base", "tokenizer"):
        value = getattr(spec.model, name)
        if value and value != "fable" and Path(value).expanduser().exists():
            raise SpecError(
                f"model.{name} is {value}, which lies on this machine only: put it into a private repository with "
                "`hf upload owner/name FOLDER`, and name that."
            )
    if "wandb" in spec.train.report_to:
        raise SpecError("train.report_to wandb needs a key that is not sent to HF Jobs: leave it out.")
    if spec.evaluate.after_training:
        _check_tasks(spec.evaluate.tasks)


def _check_tasks(names: Sequence[str]) -> None:
    """SpecError for a task that could not be scored there, which would be found out after a training that is paid for."""
    for name in names:
        if name.startswith(HARNESS):
            raise SpecError(
                f"evaluate.tasks: {name} needs lm-eval, which the machines of HF Jobs do not have: leave it out, and score "
                "it here when the run is back."
            )
        path = Path(name).expanduser()
        if path.suffix in YAML:
            _beside(path)
        else:
            list(tasks([str(path)]))


def _beside(task: Path) -> list[str]:
    """The files beside a task that it reads; SpecError for one that is not there."""
    read_there = read(task)
    sources = (read_there.examples, read_there.shots.examples)
    names = dict.fromkeys(each.file for each in sources if each and each.file)
    for name in names:
        if not (task.parent / name).is_file():
            raise SpecError(f"The task {task} reads {name}, and there is no such file beside it.")
    return list(names)


def _with_its_files(spec: RunSpec) -> tuple[dict, list[tuple[str, Path]]]:
    """The settings as they hold there, and where each file that they name comes from."""
    files: list[tuple[str, Path]] = []
    numbers = count()

    def sent(name: str) -> str:
        if name.startswith("sample:") or is_on_the_hub(name):
            return name
        path = Path(name).expanduser()
        below = f"data/{next(numbers)}"
        if path.is_dir():
            inside = [Path(each) for each in expand([name])]
            files.extend(
                (f"{below}/{path.name}/{each.relative_to(path).as_posix()}", each) for each in inside
            )
        else:
            files.append((f"{below}/{path.name}", path))
        return f"{below}/{path.name}"

    def sent_task(name: str) -> str:
        path = Path(name).expanduser()
        if not path.is_file():
            return name  # one by name
        here = sent(name)
        if path.suffix in YAML:
            folder = here.rpartition("/")[0]
            files.extend((f"{folder}/{each}", path.parent / each) for each in _beside(path))
        return here

    values = spec.model_dump(mode="json")
    for name in ("files", "held_out_files", "against"):
        values["data"][name] = [sent(each) for each in values["data"][name]]
    if spec.evaluate.after_training:
        values["evaluate"]["tasks"] = [sent_task(each) for each in values["evaluate"]["tasks"]]
    there = {"where": "here", "flavor": None, "timeout": None, "namespace": None}
    return merge(values, {"compute": there}), files


def _code(spec: RunSpec) -> Iterable[Path]:
    """The sources that a training needs, and the files beside them that they read."""
    embedded = spec.model.base == "fable"
    for folder in (ROOT / "core", PRESETS):
        for path in sorted(folder.rglob("*")):
            left_out = "__pycache__" in path.parts or (path.is_relative_to(FABLE) and not embedded)
            if path.is_file() and not left_out:
                yield path


def _packages(spec: RunSpec) -> list[str]:
    """What is installed there: what is installed here, and what these settings ask for."""
    wanted = {
        ASKED[name]
        for name in (spec.method.kind, spec.train.optimizer, spec.compute.strategy)
        if name in ASKED
    }
    wanted |= set(spec.train.report_to)
    extras = ROOT / "requirements-extras.txt"
    pins = _requirements(extras.read_text("utf-8").splitlines()) if extras.is_file() else []
    named = {re.split(r"[=<>!~\[]", pin)[0].lower(): pin for pin in pins}
    return [*_pins(), *sorted(named.get(each, each) for each in wanted)]


def _pins() -> list[str]:
    """From the checkout, or from the installed package."""
    file = ROOT / "requirements.txt"
    if file.is_file():
        return _requirements(file.read_text("utf-8").splitlines())
    return _requirements(requires("atelier") or ())


def _requirements(lines: Sequence[str]) -> list[str]:
    bare = (re.split(r"\s+#|^#|\s*;", line)[0].strip() for line in lines)
    return [line for line in bare if line and not line.startswith("-")]
