"""Verbs that make files of a trained model: the merged folder, and GGUF files for llama.cpp and Ollama."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.errors import UserError
from core.runs.store import RunStore
from core.verbs.common import Json, RunName, Runs, app, carry_out, show_json


@app.command
def merge(run: RunName, *, runs: Runs = Path("runs"), json: Json = False) -> int:
    """Write the whole tuned model, adapter merged in, to the run's folder `merged`, with its model card."""
    return carry_out(RunStore(runs).get(run), "merge", True, json)


@app.command
def export(
    run: Annotated[str | None, Parameter(help="The name of a run; see `atelier runs`.")] = None,
    *,
    quantization: Annotated[
        tuple[str, ...],
        Parameter(help="A number format; repeat it for several. publish.quantization unless given."),
    ] = (),
    ollama: Annotated[bool, Parameter(negative="")] = False,
    llama_cpp: Path | None = None,
    output_dir: Path | None = None,
    list_: Annotated[
        bool, Parameter(name="--list", negative="", help="Show the formats and what each costs.")
    ] = False,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> int:
    """Write GGUF files for llama.cpp and Ollama; each is opened again and compared with the model first.

    Parameters
    ----------
    ollama
        Also write a Modelfile for the first format: `ollama create NAME -f Modelfile`.
    llama_cpp
        Folder of a llama.cpp checkout, whose converter is used: for models that are not written here.
    output_dir
        Where the files are copied as well; they stay in the run's folder `gguf`.
    """
    from core.publish.gguf.formats import format_named

    if list_:
        return _list(RunStore(runs).get(run).folder if run else None, json)
    if run is None:
        raise UserError("Name the run to export; `atelier runs` lists them.")
    for name in quantization:
        format_named(name)
    return carry_out(
        RunStore(runs).get(run), "export", True, json, quantization=list(quantization), ollama=ollama,
        llama_cpp=str(llama_cpp.expanduser().resolve()) if llama_cpp else None,
        output_dir=str(output_dir.expanduser().resolve()) if output_dir else None,
    )  # fmt: skip


def _list(folder: Path | None, json: bool) -> int:
    """The formats; with the size that each would have where a run is named."""
    from json import loads

    from core.publish.gguf.formats import FORMATS, size_in
    from core.publish.plan import in_bytes

    parameters = None
    if folder and (folder / "manifest.json").is_file():
        parameters = loads((folder / "manifest.json").read_text("utf-8"))["model"]["parameters"]
    sizes = {name: size_in(each, parameters) if parameters else None for name, each in FORMATS.items()}
    if json:
        rows = [
            {
                "name": each.name,
                "bits": each.bits,
                "bytes": sizes[each.name],
                "bound": each.bound,
                "about": each.about,
            }
            for each in FORMATS.values()
        ]
        show_json({"formats": rows})
        return 0
    for each in FORMATS.values():
        size = f"{in_bytes(sizes[each.name]):>9}  " if parameters else ""
        print(f"{each.name:<5} {each.bits:>4g} bits  {size}logits within {each.bound:.1%}  {each.about}")
    return 0
