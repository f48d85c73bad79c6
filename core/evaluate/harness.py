"""A bridge to lm-eval, for every task that it has: our models answer, in our batches and with our template.

atelier evaluate RUN --task lm-eval:hellaswag        atelier evaluate RUN --task lm-eval:my-task.yaml

lm-eval is installed by who wants it (pip install lm_eval==0.4.13), and is loaded only here.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from core.data.examples import Message, Source
from core.errors import DataError
from core.evaluate import bootstrap
from core.evaluate.bench import Bench
from core.evaluate.bootstrap import CONFIDENCE, ENOUGH_ROWS, RESAMPLES, compare, verdict
from core.evaluate.generate import context_length
from core.evaluate.report import Answer, Both, Row, Score, Settings, TaskReport
from core.evaluate.tasks import HARNESS, YAML
from core.text.encode import Encoded

SOURCE = Source("lm-eval", 1)
KINDS = {"generate_until": "generation", "multiple_choice": "choice"}  # all others are likelihoods
Sample = dict[str, Any]  # as lm-eval logs them


def score(bench: Bench, name: str) -> TaskReport:
    """DataError if lm-eval has no such task, or cannot have its rows."""
    from lm_eval import simple_evaluate

    called, manager, output_type = _loaded(name)
    settings = bench.spec.evaluate
    before, found, version = bench.seconds, {}, ""
    for side, column in zip(bench.sides, bench.columns, strict=True):
        alone = replace(bench, sides=(side,), seconds=0.0)
        try:
            results = simple_evaluate(
                model=_model(alone, column, output_type, called),
                tasks=[called],
                task_manager=manager,
                num_fewshot=settings.shots,
                limit=settings.max_samples,
                bootstrap_iters=0,  # ours is paired
                apply_chat_template=output_type == "generate_until",
                log_samples=True,
            )
        except (OSError, ValueError, KeyError) as error:
            raise _refused(name, error) from error
        bench.seconds += alone.seconds
        found[column] = [(task, each) for task, samples in results["samples"].items() for each in samples]
        version = ", ".join(f"{task} version {number}" for task, number in results["versions"].items())
        better = results["higher_is_better"]
    return _report(bench, name, called, output_type, found, better, version, bench.seconds - before)


def _loaded(name: str) -> tuple[str, Any, str]:
    """The task's own name, a manager that knows it, and the kind of requests that it makes."""
    from lm_eval.tasks import TaskManager

    wanted = name.removeprefix(HARNESS)
    path = Path(wanted)
    if path.suffix not in YAML:
        manager, called = TaskManager(), wanted
    elif path.is_file():
        manager = TaskManager(include_path=str(path.parent.resolve()), include_defaults=False)
        called = _called(path)
    else:
        raise DataError(f"There is no file {path} with a task of lm-eval.")
    try:
        tasks = manager.load([called])["tasks"].values()
        kinds = {task.OUTPUT_TYPE for task in tasks}
    except (OSError, ValueError, KeyError, LookupError) as error:
        raise _refused(name, error) from error
    return called, manager, kinds.pop() if len(kinds) == 1 else "several"


def _called(path: Path) -> str:
    class Loader(yaml.SafeLoader):
        """Reads what a task's functions are called (!function) as text, and calls none."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: suffix)
    values = yaml.load(path.read_text("utf-8"), Loader)  # a SafeLoader
    if not isinstance(values, dict) or not isinstance(values.get("task"), str):
        raise DataError(f"{path} names no `task`, so it is none of lm-eval.")
    return values["task"]


def _refused(name: str, error: Exception) -> DataError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return DataError(f"lm-eval cannot load {name}: {first[:200]}")


def _model(bench: Bench, column: str, output_type: str, task: str):
    """One of our models as lm-eval asks one. A function, for lm-eval's class is known only where it is installed."""
    from lm_eval.api.model import LM
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    text = bench.pair.text
    tokenizer, template = text.tokenizer, text.template
    with bench.pair.side(column) as model:
        context = context_length(model) or 2**31
    first = [*template.begin][:1] or [template.stops[-1]]
    prefix = tokenizer.convert_tokens_to_ids(first)  # what stands before a text of which nothing was asked

    class Ours(LM):
        tokenizer_name = "atelier"

        def apply_chat_template(
            self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
        ) -> str:
            turns = [Message(each["role"], each["content"]) for each in chat_history]
            if add_generation_prompt:
                return template.prompt(turns)
            return template.prompt(turns[:-1]) + turns[-1].content  # the answer's beginning is given

        def chat_template(self, chat_template: bool | str = False) -> str:
            return template.jinja

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            rows = [_row(*self._ids(*request.args)) for request in requests]
            return [(-each.nll, each.first == each.tokens) for each in self._read(rows)]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            rows, owners = [], []
            for number, request in enumerate(requests):
                ids = tokenizer(request.args[0], add_special_tokens=False).input_ids
                windows = get_rolling_token_windows(ids, prefix[0], context - 1, 1)
                for asked, said in map(make_disjoint_window, windows):
                    rows.append(_row(asked, said))
                    owners.append(number)
            sums = [0.0] * len(requests)
            for owner, each in zip(owners, self._read(rows), strict=True):
                sums[owner] -= each.nll
            return sums

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            found = [""] * len(requests)
            kinds: dict[tuple, list[int]] = {}
            for at, request in enumerate(requests):
                how = request.args[1]
                until = how.get("until") or ()
                until = (until,) if isinstance(until, str) else tuple(until)
                most = int(how.get("max_gen_toks") or bench.spec.evaluate.max_new_tokens)
                kinds.setdefault((until, most), []).append(at)
            for (until, most), places in kinds.items():
                left = max(1, context - most)
                prompts = [
                    tokenizer(requests[at].args[0], add_special_tokens=False).input_ids[-left:]
                    for at in places
                ]
                texts = tuple(each for each in until if each and each not in template.stops)
                answers = bench.answers(f"answers {task} (lm-eval)", prompts, most, texts)[column]
                for at, answer in zip(places, answers, strict=True):
                    found[at] = answer.text
            return found

        def _ids(self, asked: str, said: str) -> tuple[list[int], list[int]]:
            # Spaces at the end belong to what is said: tokens begin with them.
            bare = asked.rstrip()
            before = bench.plain(bare) if bare else prefix
            whole = (
                bench.plain(asked + said)
                if bare
                else [*prefix, *tokenizer(said, add_special_tokens=False).input_ids]
            )
            return whole[: len(before)], whole[len(before) :]

        def _read(self, rows: list[Encoded]) -> list:
            return bench.likelihoods(f"reads {task} (lm-eval)", rows)[column] if rows else []

    def _row(asked: list[int], said: list[int]) -> Encoded:
        kept = asked[-max(1, context - len(said)) :]
        ids = [*kept, *said][:context]
        return Encoded(ids, [place >= len(kept) for place in range(len(ids))], SOURCE)

    return Ours()


def _report(
    bench: Bench,
    name: str,
    called: str,
    output_type: str,
    found: dict[str, list[tuple[str, Sample]]],
    better: dict[str, dict[str, bool]],
    version: str,
    seconds: float,
) -> TaskReport:
    rows = next(iter(found.values()))
    measured = [metric for metric in rows[0][1]["metrics"] if _is_number(rows[0][1][metric])] if rows else []
    scores, marks = [], {}
    for metric in measured:
        values = {
            column: [float(sample[metric]) for _, sample in samples] for column, samples in found.items()
        }
        marks[metric] = values
        compared = compare(values.get("base"), values.get("tuned"), None, bootstrap.mean)
        higher = bool(better.get(rows[0][0], {}).get(metric, True))
        definition = f"mean over the rows of lm-eval's {metric} ({version})"
        judged = verdict(compared, higher)
        scores.append(Score(metric, metric, definition, higher, **vars(compared), of="rows", verdict=judged))
    notes = (
        () if measured else ("lm-eval gives no score of single rows for this task, so none can be compared.",)
    )
    if len(rows) < ENOUGH_ROWS:
        notes += (
            f"Fewer than {ENOUGH_ROWS} rows were scored ({len(rows)}): no change is clear with so few.",
        )
    settings = bench.spec.evaluate
    return TaskReport(
        name=name,
        label=f"{called} (lm-eval)",
        about="A task of lm-eval, as it is defined there.",
        kind=KINDS.get(output_type, "likelihood"),
        n=len(rows),
        available=len(rows),
        settings=Settings(
            prompt="",
            shots=settings.shots or 0,
            decoding="greedy" if output_type == "generate_until" else "none",
            max_new_tokens=settings.max_new_tokens if output_type == "generate_until" else 0,
            grading=", ".join(measured),
            resamples=RESAMPLES,
            confidence=CONFIDENCE,
            max_samples=settings.max_samples,
        ),
        scores=tuple(scores),
        rows=tuple(
            Row(
                f"{task}:{sample['doc_id']}",
                str(sample["arguments"][0][0]),  # of its first request
                str(sample["target"]),
                *(_said(found, column, at, output_type) for column in ("base", "tuned")),
                {
                    metric: Both(
                        *(values[column][at] if column in values else None for column in ("base", "tuned"))
                    )
                    for metric, values in marks.items()
                },
            )
            for at, (task, sample) in enumerate(rows)
        ),
        notes=notes,
        seconds=seconds,
        given=name,
    )


def _said(
    found: dict[str, list[tuple[str, Sample]]], column: str, at: int, output_type: str
) -> Answer | None:
    if column not in found or output_type != "generate_until":
        return None
    return Answer(str(found[column][at][1]["filtered_resps"][0]), 0, "turn")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)  # and not the parts of a perplexity
