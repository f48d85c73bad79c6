"""Verbs about examples, before anything is trained on them."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from core.errors import UserError
from core.spec import RunSpec
from core.verbs.common import Config, Files, Json, Preset, Runs, Settings, data, show_json, spec_of


@data.command
def check(
    files: Files = (),
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    strict: Annotated[bool, Parameter(negative="")] = False,
    tokens: bool = True,
    rows: int = 0,
    preset: Preset = "tiny",
    config: Config = None,
    json: Json = False,
    settings: Settings = None,
) -> int:
    """Read examples and say everything about them: every line that cannot be used, with its reason and what to do.

    Exit status: 0 usable, 1 problems and --strict, 2 nothing usable.

    Parameters
    ----------
    every
        List every line; otherwise the first three of each kind of problem.
    strict
        Any problem gives exit status 1.
    tokens
        Also count tokens, and see what is cut, trained, and ends an answer; that needs the model's tokenizer.
    rows
        Examples to show token by token.
    """
    from core.data import NoExamplesError
    from core.data.report import as_dict, summary
    from core.examine import examine, is_odd, unusable
    from core.show import lengths_text

    each = None if every else 3
    try:
        seen = examine(spec_of(files, preset, config, settings), rows, tokens)
    except NoExamplesError as error:
        if json:
            show_json(unusable(error))
        else:
            print(f"{summary(as_dict(error.report), each)}\n\n{error}", file=sys.stderr)
        return 2
    except UserError as error:
        if not json:
            raise
        show_json({"rows": 0, "kept": 0, "problems": [], "lengths": None, "error": str(error)})
        return 2
    show_json(seen) if json else print(f"{summary(seen, each)}\n\n{lengths_text(seen)}")
    if seen["lengths"] and not seen["lengths"]["trained_tokens"]:
        return 2
    return 1 if strict and is_odd(seen) else 0


@data.command
def show(
    files: Files = (),
    *,
    rows: int = 3,
    preset: Preset = "tiny",
    config: Config = None,
    json: Json = False,
    settings: Settings = None,
) -> None:
    """Show, token by token, what is trained, what is context and what is cut.

    Parameters
    ----------
    rows
        Examples to show.
    """
    from core.examine import examine
    from core.show import lengths_text, tokens_text

    seen = examine(spec_of(files, preset, config, settings), rows)
    if seen["tokens_error"]:
        raise UserError(seen["tokens_error"])
    show_json(seen) if json else print(f"{tokens_text(seen)}\n{lengths_text(seen)}")


@data.command
def clean(
    files: Files = (),
    *,
    output_dir: Path = Path("cleaned"),
    mend: bool = True,
    preset: Preset = "tiny",
    config: Config = None,
    json: Json = False,
    settings: Settings = None,
) -> None:
    """Write a clean copy (cleaned.jsonl), the rows that cannot be used (rejected.jsonl), and a report of both.

    Copies of a row are left out, and rows with a warning of a code in --data.drop.

    Parameters
    ----------
    output_dir
        The folder to write to.
    mend
        Repair what can be: text read in a wrong encoding, control characters, spaces at the end. Each repair is counted.
    """
    from core.data.cleaning import clean
    from core.data.select import select
    from core.examine import examine, write_report
    from core.spec import merge

    spec = spec_of(files, preset, config, settings)
    if not spec.data.drop:
        spec = RunSpec.from_dict(merge(spec.model_dump(mode="json"), {"data": {"drop": ["duplicate"]}}))
    chosen = select(spec.data, thorough=True)
    seen = examine(spec, chosen=chosen)
    done = clean(chosen.reports[0], output_dir, mend)
    as_json, as_text = write_report(seen, output_dir)
    found = {
        "cleaned": str(done.cleaned),
        "rejected": str(done.rejected),
        "report": str(as_json),
        "markdown": str(as_text),
        "kept": done.kept,
        "dropped": seen["dropped"],
        "mended": done.mended,
    }
    if json:
        show_json(found)
        return
    print(f"{done.cleaned}: {done.kept:,} examples")
    for what, times in (seen["dropped"] | done.mended).items():
        print(f"  {what}: {times:,}")
    print(f"{done.rejected}: {seen['rejected']:,} that cannot be used\n{as_text}\n{as_json}")


@data.command
def prepare(
    names: tuple[str, ...],
    *,
    output_dir: Path = Path("data/sft"),
    source: Annotated[str | None, Parameter(name="--from")] = None,
    paths: Literal["best", "every"] = "best",
    language: tuple[str, ...] = (),
    keep_calculator: bool = False,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Write a public data set as examples: dolly15k, oasst1, alpaca, gsm8k, math, books, riddles, or all of them.

    Its licence and source stand beside it, and what was left out is counted.

    Parameters
    ----------
    output_dir
        The folder to write to.
    source
        A local copy of the original files, a file or a folder; taken from the Hub unless given.
    paths
        Of oasst1's trees: the path of the best ranked replies, or every path.
    language
        Only conversations in these languages (en, fr, ...), where the set says which they are in.
    keep_calculator
        Keep gsm8k's annotations for a calculator, such as <<48/2=24>>.
    seed
        Which questions are made of the paragraphs of books.
    """
    from core.data.prepared import as_dict, as_text, prepare

    done = prepare(
        names, output_dir, source, paths=paths, languages=language, keep_calculator=keep_calculator, seed=seed
    )
    show_json(as_dict(done)) if json else print(as_text(done))


@data.command
def generate(
    inputs: tuple[str, ...],
    *,
    output: Path,
    method: Literal["rule-based", "llm-based", "augmented"] = "rule-based",
    count: int = 1000,
    split: Annotated[bool, Parameter(negative="")] = False,
    language: Literal["auto", "en", "fr"] = "auto",
    unanswerable: bool = True,
    typos: bool = False,
    endpoint: str | None = None,
    model: str | None = None,
    base: str | None = None,
    budget: int | None = None,
    seed: int = 42,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Make questions and answers of your own documents: Markdown, text, CSV or JSON lines.

    Beside each row's file stands what it was made of (F.sources.jsonl). Ctrl-C keeps what was made.

    Parameters
    ----------
    inputs
        The documents; for augmented, files of questions and answers.
    output
        The file to write, such as guide.jsonl.
    method
        rule-based reads structure (headings, fields, lists, tables); llm-based asks a model and checks that the passage
        supports its answers; augmented varies the questions of examples and leaves their answers as they are.
    count
        Rows to make; fewer are made where the documents hold no more.
    split
        Write train, validation and test files (80/10/10); no passage is in two of them.
    language
        That of the questions; that of the document unless given.
    unanswerable
        Also ask a few questions that the document does not answer, and say so.
    typos
        Also vary questions by slips of the pen; for augmented.
    endpoint
        Address of a model that answers as OpenAI's API does, such as http://127.0.0.1:8000/v1; for llm-based. Its token
        is taken from ATELIER_ENDPOINT_TOKEN.
    model
        Name of the model at the endpoint.
    base
        A run whose model is asked instead.
    budget
        Most tokens to spend; what was made until then is kept, and the same command goes on.
    seed
        The same seed makes the same rows.
    """
    from core.data.generate import as_dict, as_text, generate
    from core.show import counting

    with counting("Making rows", quiet=json) as progress:
        made = generate(
            inputs,
            method,
            count,
            output,
            split=split,
            language=language,
            unanswerable=unanswerable,
            typos=typos,
            endpoint=endpoint,
            model=model,
            base=base,
            budget=budget,
            seed=seed,
            runs=runs,
            progress=progress,
        )
    show_json(as_dict(made)) if json else print(as_text(made))
