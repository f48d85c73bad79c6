"""What programs may ask of the page's server: each act once more, as a function with a name, types and words.

The pages' own events take what pages hold, fifty fields and the browser's memory; a program is given these instead.

Client("http://127.0.0.1:7860").predict(run="poems-1", api_name="/run")          python -m webui.programs

The docstrings are the documentation: of `client.view_api()`, of the tools that `atelier ui --mcp` offers, and of
docs/programs.md, whose reference the second command prints. So they speak to whoever calls, and what is said of a parameter stands on one line.
"""

import functools
import inspect
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta
from pydantic import ValidationError, validate_call

from core import children, presets
from core import spec as specs
from core.compare.retrieval import Request
from core.compare.retrieval import read as read_retrieval
from core.errors import DataError, RunError, SpecError, UserError
from core.evaluate.tasks import built_in, names
from core.flat import nested
from core.models import as_dicts
from core.publish import job as publishing
from core.publish import plan as publications
from core.publish.gguf.formats import format_named
from core.remote import estimate, record
from core.runs import Run, jobs, naming, queue
from core.spec import RunSpec, merge
from webui import forms
from webui.chosen import BUILT_IN
from webui.evaluate import report_of
from webui.render.train import arguments
from webui.shared import Shared
from webui.talks import Said, Sampling, Turn

PLANNING = 300.0  # seconds: the examples are read and their tokens counted
AT_ONCE = 4  # processes that read examples for programs at the same time
LATEST = 10  # steps that are told of a run; `curves` has all
CURVES = ("step", "epoch", "loss", "learning_rate", "gradient_norm", "tokens_per_second", "memory_bytes")
HELD_OUT = ("step", "loss", "token_accuracy")
EXTRA = "mcp==1.30.0"

Side = Literal["tuned", "base"]
What = Literal["adapter", "merged", "gguf"]
Told = dict[str, Any]


class Acts:
    """Some of the acts: every public method is one, by its name; a final `_` is not part of it."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared


class Data(Acts):
    def data_sets(self) -> Told:
        """The data sets that can be named in `files`: the built-in ones, and those that were saved here.

        Returns:
            built_in and saved: a list each, of name and file; the file is what `files` takes
        """
        built = [{"name": label, "file": name} for name, label in BUILT_IN.items()]
        saved = [{"name": name, "file": path} for name, path in self.shared.sets.choices()]
        return {"built_in": built, "saved": saved}

    def keep_file(self, file: dict) -> Told:
        """Keep a file of examples, or of documents, on the server, to be named in later calls.

        Args:
            file: The file, as handle_file(path) of gradio_client makes it; JSON lines, JSON, CSV, TSV, Parquet, text, Markdown.

        Returns:
            file: what `files` takes
        """
        if not is_file_obj_with_meta(file):
            raise DataError(
                "Give the file as handle_file(path) of gradio_client makes it, or its text to keep_text."
            )
        return {"file": self.shared.keep(file["path"])}

    def keep_text(self, text: str, name: str = "examples.jsonl") -> Told:
        """Keep a text on the server as a file of examples, or of documents, to be named in later calls.

        Args:
            text: What is in the file, such as {"question": "...", "answer": "..."} on each line.
            name: Its name; the ending says how it is read: .jsonl, .json, .csv, .tsv, .txt, .md.

        Returns:
            file: what `files` takes
        """
        called = re.sub(r"[^\w.-]+", "-", name)[-80:].strip("-.") or "examples.jsonl"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / called
            path.write_text(
                text, "utf-8", "surrogatepass"
            )  # whether that can be read is for the reader to say
            return {"file": self.shared.keep(str(path))}

    def check_data(
        self, files: list[str], preset: str = "tiny", settings: dict | None = None, rows: int = 0
    ) -> Told:
        """Read examples and say everything about them, as `atelier data check` does; nothing is trained.

        Args:
            files: What keep_file or keep_text gave, sample:fables-en, sample:fables-fr, or hf:owner/name of the Hub.
            preset: Where settings come from that are not given: tiny, small or 3090.
            settings: Settings over the preset's, by their names: {"train.max_length": 512}.
            rows: Examples to show token by token: trained, context or cut.

        Returns:
            rows, kept, problems (file, line, why, fix), lengths in tokens, stops, and more
        """
        words = self._words(files, preset, settings)
        return children.ask("data", "check", *words, "--rows", str(rows), timeout=PLANNING)

    def save_data(
        self, name: str, files: list[str], preset: str = "tiny", settings: dict | None = None
    ) -> Told:
        """Clean examples and keep them under a name: without copies and what cannot be used, mended where that is safe.

        Args:
            name: Name of the data set: letters, digits, dots, dashes and underscores, 64 at most.
            files: What keep_file or keep_text gave, sample:fables-en, sample:fables-fr, or hf:owner/name of the Hub.
            preset: Where settings come from that are not given: tiny, small or 3090.
            settings: Settings over the preset's, by their names: {"data.drop": ["duplicate"]}.

        Returns:
            file (what `files` takes), kept, dropped and mended (each by reason)
        """
        made = self.shared.sets.save(name, self._words(files, preset, settings))
        told = {each: made[each] for each in ("kept", "dropped", "mended")}
        return {"file": str(self.shared.sets.path(name)), **told}

    def _words(self, files: list[str], preset: str, settings: dict | None) -> list[str]:
        return arguments(preset, asked(self.shared, files, preset, settings)[1])


class Training(Acts):
    def presets(self) -> list[Told]:
        """The presets that a training starts from, the smallest first.

        Returns:
            for each: name, about; `settings` tells what it sets
        """
        return [{"name": name, "about": forms.explanation(name)} for name in presets.names()]

    def settings(self, preset: str = "tiny") -> list[Told]:
        """Every setting that a training has, as `settings` of other calls takes it.

        Args:
            preset: Whose values are told: tiny, small or 3090.

        Returns:
            for each: name (section.setting), value (with this preset), about
        """
        values = presets.resolve(preset).model_dump(mode="json")
        return [
            {"name": path, "value": values[section][name], "about": info.description}
            for path, info in specs.settings().items()
            for section, _, name in [path.partition(".")]
        ]

    def models(self) -> list[Told]:
        """Base models that have a short name, for the setting model.base; any other of the Hub's is named owner/name.

        Returns:
            for each: name, repository on the Hub, parameters, licence, and more
        """
        return as_dicts()

    def machines(self) -> list[Told]:
        """The Hub's machines (HF Jobs) for the settings compute.where hf-jobs and compute.flavor, with what they cost.

        Returns:
            for each: flavor, gpus, gpu_memory and memory (bytes), usd_per_hour
        """
        return children.ask("remote", "flavors", token=self.shared.token())["flavors"]

    def plan(self, files: list[str], preset: str = "tiny", settings: dict | None = None) -> Told:
        """Say what a training would do and take, before anything is trained: steps, choices with reasons, memory, time, disk.

        Args:
            files: What keep_file or keep_text gave, sample:fables-en, sample:fables-fr, or hf:owner/name of the Hub.
            preset: Where settings come from that are not given: tiny, small or 3090.
            settings: Settings over the preset's, by their names: {"train.epochs": 2, "method.kind": "lora"}.

        Returns:
            what `atelier plan --json` prints: total_steps, choices, memory (bytes), seconds, refusal (null if it would begin)
        """
        spec, given = asked(self.shared, files, preset, settings)
        jobs.check(spec)
        root = str(self.shared.store.root)
        words = arguments(preset, given)
        return children.ask("plan", *words, "--runs", root, token=self._token(spec), timeout=PLANNING)

    def train(
        self,
        files: list[str],
        name: str = "",
        preset: str = "tiny",
        settings: dict | None = None,
        agree_to_cost: bool = False,
    ) -> Told:
        """Begin to train a model and score it against its base. Returns at once; the run goes on by itself: see `run`.

        Args:
            files: What keep_file or keep_text gave, sample:fables-en, sample:fables-fr, or hf:owner/name of the Hub.
            name: Name of the run; made from the first file's unless given.
            preset: Where settings come from that are not given: tiny, small or 3090.
            settings: Settings over the preset's, by their names: {"train.epochs": 2, "method.kind": "lora"}.
            agree_to_cost: Whether a machine of HF Jobs may be paid for; without it, the refusal says what it would cost.

        Returns:
            the run, as `runs` tells it
        """
        spec, given = asked(self.shared, files, preset, settings)
        jobs.check(spec)
        if spec.compute.where == "hf-jobs" and not agree_to_cost:
            words = arguments(preset, given)
            seen = children.ask("remote", "estimate", *words, token=self._token(spec), timeout=PLANNING)
            raise UserError(
                f"{estimate.as_text(seen)} Ask again with agree_to_cost to start it, and pay for it."
            )
        store = self.shared.store
        run = store.create(name.strip() or store.free_name(Path(files[0].removeprefix("sample:")).stem), spec)
        jobs.start(run, token=self.shared.token())
        return told(self.shared, run)

    def _token(self, spec: RunSpec) -> str | None:
        return self.shared.token() if spec.compute.where == "hf-jobs" else None


class Runs(Acts):
    def runs(self) -> list[Told]:
        """Every run, the newest first.

        Returns:
            for each: run (its name), act, state (new, queued, running, paused, finished, stopped, failed, lost), message (why it failed), trained, step, total_steps, loss, held_out_loss, eta_seconds, published
        """
        return [told(self.shared, run) for run in self.shared.store.all()]

    def run(self, run: str) -> Told:
        """One run: where it stands, what was noted, and its settings. It is over when its state is finished, stopped, failed or lost.

        Args:
            run: Name of the run.

        Returns:
            what `runs` tells, with stage, steps (the latest ten), notes, warnings, samples (answers to its own questions), note, saved_step, resumable, settings
        """
        found = self.shared.run(run)
        progress = self.shared.progress(found)
        return told(self.shared, found) | {
            "stage": progress.stage.stage if progress.stage else None,
            "steps": [{"step": each.step, "loss": each.loss} for each in progress.steps[-LATEST:]],
            "notes": [note.text for note in progress.notes if not note.warning],
            "warnings": [
                {"text": note.text, "code": note.code, "step": note.step}
                for note in progress.notes
                if note.warning
            ],
            "samples": [
                {"step": each.step, "question": each.question, "answer": each.answer}
                for each in progress.samples
            ],
            "note": found.note,
            "saved_step": progress.saved_step,
            "resumable": progress.resumable,
            "settings": found.spec.model_dump(mode="json"),
        }

    def curves(self, run: str, after_step: int = 0) -> Told:
        """What was measured at each step of a training; losses are in nats, memory in bytes.

        Args:
            run: Name of the run.
            after_step: Only steps after this one, so that who asks again and again is told only what is new.

        Returns:
            training and held_out: columns of equal length, by name, such as step and loss
        """
        progress = self.shared.progress(self.shared.run(run))
        series = (("training", CURVES, progress.steps), ("held_out", HELD_OUT, progress.held_out))
        return {
            name: {
                column: [getattr(each, column) for each in points if each.step > after_step]
                for column in columns
            }
            for name, columns, points in series
        }

    def log(self, run: str, most_bytes: int = 20_000) -> str:
        """The end of what the run's process has printed.

        Args:
            run: Name of the run.
            most_bytes: How much of it.

        Returns:
            the text; empty if nothing was printed
        """
        console = self.shared.run(run).console
        if not console.is_file():
            return ""
        with console.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - max(most_bytes, 0)))
            return file.read().decode("utf-8", "replace")

    def pause(self, run: str) -> Told:
        """Hold a training after the step it is in. It keeps its memory and its accelerator; `continue` lets it go on.

        Args:
            run: Name of the run.

        Returns:
            the run, as `runs` tells it
        """
        return self._after(run, jobs.pause)

    def continue_(self, run: str) -> Told:
        """Let a paused training go on.

        Args:
            run: Name of the run.

        Returns:
            the run, as `runs` tells it
        """
        return self._after(run, jobs.go_on)

    def stop(self, run: str, now: bool = False) -> Told:
        """Ask a run to stop, or to leave the line if it waits. A training saves a checkpoint; `resume` goes on from there.

        Args:
            run: Name of the run.
            now: End its processes at once; what came after its last checkpoint is lost.

        Returns:
            the run, as `runs` tells it; it may take a moment until its state is stopped
        """
        return self._after(run, functools.partial(jobs.stop, now=now))

    def discard(self, run: str) -> Told:
        """Stop a training and remove all that it has made; its settings, curves and log stay.

        Args:
            run: Name of the run.

        Returns:
            the run, as `runs` tells it
        """
        return self._after(run, functools.partial(jobs.stop, discard=True))

    def resume(self, run: str, agree_to_cost: bool = False) -> Told:
        """Go on with a run that was stopped, failed or lost, from its last whole checkpoint.

        Args:
            run: Name of the run.
            agree_to_cost: Whether another machine of HF Jobs may be paid for, if the run needs one.

        Returns:
            the run, as `runs` tells it
        """
        found = self.shared.run(run)
        if found.spec.compute.where == "hf-jobs" and not agree_to_cost:
            sent = record.read(found)
            if sent is None or sent.settled:
                raise UserError(
                    f"This asks HF Jobs for another machine ({found.spec.compute.flavor}), which is paid for: ask again with "
                    "agree_to_cost."
                )
        return self._start(found, "train")

    def rename(self, run: str, name: str) -> Told:
        """Give a run that is not at work another name.

        Args:
            run: Name of the run.
            name: The new one: letters, digits, dots, dashes and underscores, 64 at most.

        Returns:
            the run, as `runs` tells it
        """
        return told(self.shared, naming.rename(self.shared.run(run), name))

    def note(self, run: str, words: str) -> Told:
        """Keep some words with a run, in place of those before.

        Args:
            run: Name of the run.
            words: What is to be remembered of it; none if empty.

        Returns:
            the run, as `runs` tells it
        """
        return self._after(run, functools.partial(naming.note, words=words))

    def delete(self, run: str) -> Told:
        """Delete a run with its checkpoints, model and scores. It cannot be brought back.

        Args:
            run: Name of the run.

        Returns:
            deleted: the name that is free now
        """
        found = self.shared.run(run)
        jobs.delete(found)
        return {"deleted": found.name}

    def queue(self) -> Told:
        """What is at work on which accelerator, and which runs wait for one.

        Returns:
            running (run, act, state, device, step, total_steps) and waiting (names, the next one first)
        """
        from core.show import queue_as_dict

        rows = self.shared.all()
        return queue_as_dict(queue.holding(rows), queue.waiting(rows))

    def move(self, run: str, to: Literal["first", "last", "earlier", "later"]) -> Told:
        """Give a run that waits for an accelerator another place in the line.

        Args:
            run: Name of the run.
            to: The next one, the last one, or one place earlier or later.

        Returns:
            what `queue` tells
        """
        queue.move(self.shared.run(run), to)
        return self.queue()

    def merge(self, run: str) -> Told:
        """Write the whole tuned model, adapter merged in, to the run's folder `merged`. Returns at once: see `run`.

        Args:
            run: Name of the run, trained to its end.

        Returns:
            the run, as `runs` tells it
        """
        return self._start(self.shared.run(run), "merge")

    def export(self, run: str, quantization: list[str] | None = None, ollama: bool = False) -> Told:
        """Write GGUF files for llama.cpp and Ollama to the run's folder `gguf`. Returns at once: see `run`.

        Args:
            run: Name of the run, trained to its end.
            quantization: Number formats, such as q8_0 or f16; as publish.quantization of the run says unless given.
            ollama: Also write a Modelfile for the first of them.

        Returns:
            the run, as `runs` tells it
        """
        for name in quantization or []:
            format_named(name)
        return self._start(self.shared.run(run), "export", quantization=quantization or [], ollama=ollama)

    def _after(self, name: str, act: Callable[[Run], None]) -> Told:
        run = self.shared.run(name)
        act(run)
        return told(self.shared, run)

    def _start(self, run: Run, act: str, **options: Any) -> Told:
        jobs.start(run, act, self.shared.token(), **options)
        return told(self.shared, run)


class Scores(Acts):
    def tasks(self) -> list[Told]:
        """The tasks that models can be scored on; a file of examples that was kept is one, too.

        Returns:
            for each: name, label, about, source, licence, kind
        """
        keys = {"name", "label", "about", "source", "licence", "kind"}
        return [built_in(name).model_dump(include=keys) for name in names()]

    def evaluate(
        self,
        run: str,
        tasks: list[str] | None = None,
        max_samples: int | None = None,
        shots: int | None = None,
        num_samples: int | None = None,
        max_new_tokens: int | None = None,
        gen_only: bool = False,
        side: Literal["both", "base", "tuned", "merged"] = "both",
    ) -> Told:
        """Score base and tuned model on the same rows. Returns at once; when `run` says finished, `scores` has them.

        Args:
            run: Name of the run, trained to its end.
            tasks: Names of tasks, or files of examples that were kept; as evaluate.tasks of the run says unless given.
            max_samples: Most rows of each task, evenly spread over it.
            shots: Solved examples shown before each question.
            num_samples: Most rows of each task in which the models write answers.
            max_new_tokens: Longest answer, in tokens, whatever a task says.
            gen_only: Only tasks in which the models write answers.
            side: One model alone, or both; merged is what `merge` made.

        Returns:
            the run, as `runs` tells it
        """
        found = self.shared.run(run)
        self.shared.files([each for each in tasks or [] if is_file(each)])
        settings = {
            "tasks": tasks or None, "max_samples": max_samples, "shots": shots, "max_new_tokens": max_new_tokens
        }  # fmt: skip
        settings = {name: value for name, value in settings.items() if value is not None}
        RunSpec.from_dict(merge(found.spec.model_dump(mode="json"), {"evaluate": self.shared.own(settings)}))
        options = {
            "num_samples": num_samples,
            "answers": num_samples,
            "gen_only": gen_only or None,
            "side": side,
        }
        jobs.start(
            found, "evaluate", **settings | {n: value for n, value in options.items() if value is not None}
        )
        return told(self.shared, found)

    def scores(self, run: str, rows: bool = False) -> Told:
        """What the evaluation of a run found: base, tuned and difference with intervals, and a verdict for each task.

        Args:
            run: Name of the run.
            rows: Also tell each row: the question, the reference, both answers and their marks.

        Returns:
            run, base_model, made_at, tasks (name, n, scores, notes, rows), prompts
        """
        found = self.shared.run(run)
        report = report_of(found)
        if report is None:
            raise RunError(
                f"The run {found.name!r} was not scored yet: call evaluate, and wait until it has finished."
            )
        plain = asdict(report)
        for task in () if rows else plain["tasks"]:
            task["rows"] = []
        return plain

    def compare_runs(self, runs: list[str]) -> Told:
        """Put runs side by side: scores, curves, the settings that differ, and cost.

        Args:
            runs: Names of two runs or more.

        Returns:
            what `atelier compare --json` prints
        """
        from core.compare.runs import as_dict, compare_runs

        return as_dict(compare_runs([self.shared.run(name) for name in runs]))

    def compare_with_retrieval(
        self,
        run: str,
        documents: list[str],
        questions: str = "",
        most_questions: int = 64,
        passages: int = 4,
        passage_tokens: int = 512,
    ) -> Told:
        """Would passages of documents do as well as training? Returns at once; `retrieval` has the answer when it has finished.

        Args:
            run: Name of the run, trained to its end.
            documents: What keep_file or keep_text gave: Markdown, text, CSV or JSON lines.
            questions: A kept file of questions with answers; what the run held out from training unless given.
            most_questions: Most questions, evenly spread over those there are; each is answered four times.
            passages: Most passages for a question.
            passage_tokens: Most tokens of a question's passages together.

        Returns:
            the run, as `runs` tells it
        """
        found = self.shared.run(run)
        if not documents:
            raise RunError(
                "Name the documents in which passages are to be found: keep_file and keep_text give their names."
            )
        self.shared.files([*documents, *([questions] if questions else [])])
        amounts = {"most_questions": most_questions, "passages": passages, "passage_tokens": passage_tokens}
        options = amounts | ({"questions": questions} if questions else {})
        Request(tuple(documents), **options)  # what cannot be is said before anything is begun
        jobs.start(found, "compare", documents=documents, **options)
        return told(self.shared, found)

    def retrieval(self, run: str) -> Told:
        """What compare_with_retrieval found: fine-tune, retrieve, both, or no clear difference, and the scores behind it.

        Args:
            run: Name of the run.

        Returns:
            what `atelier compare --rag --json` prints
        """
        found = self.shared.run(run)
        compared = read_retrieval(found)
        if compared is None:
            raise RunError(
                f"The run {found.name!r} was not held against retrieval yet: call compare_with_retrieval first."
            )
        return asdict(compared)


class Talking(Acts):
    def load(self, run: str) -> Told:
        """Load a run's tuned model and its base, and wait until they can answer; `ask` does so, too. Another run's are unloaded.

        Args:
            run: Name of the run, trained to its end.

        Returns:
            base, tuned, shared (both are one copy of the weights), memory_bytes
        """
        return asdict(self.shared.talks.open(self.shared.run(run)).ready())

    def unload(self) -> Told:
        """Unload the models that answer, which gives their memory back.

        Returns:
            state: closed
        """
        self.shared.talks.close()
        return {"state": self.shared.talks.state}

    def ask(
        self,
        run: str,
        messages: list[dict[str, str]],
        side: Side = "tuned",
        temperature: float = 0.7,
        max_new_tokens: int = 256,
        seed: int | None = None,
    ) -> Told:
        """Ask the tuned model, or its base. Answers come whole; for one that comes piece by piece: `atelier serve`.

        Args:
            run: Name of the run, trained to its end.
            messages: The conversation: {"role": "user", "content": "..."}, with assistant's in turn; system's may come first.
            side: Who answers.
            temperature: 0 always takes the likeliest token.
            max_new_tokens: Longest answer, in tokens.
            seed: The same seed gives the same answer.

        Returns:
            text, ended (turn; length or context: cut off there; stopped), tokens, seconds
        """
        found = self.shared.run(run)
        system, turns, question = conversation(messages, side)
        sampling = Sampling(temperature=temperature, max_new_tokens=max_new_tokens, system=system, seed=seed)
        *_, grown = self.shared.talks.converse(found, turns, question, (side,), sampling)
        return asdict(grown[-1].answers[side])

    def stop_answer(self) -> Told:
        """End the answers under way, whoever asked; who did is given them as far as they came.

        Returns:
            state: closed, loading or ready, of the models
        """
        self.shared.talks.stop()
        return {"state": self.shared.talks.state}


class Publishing(Acts):
    def account(self) -> Told:
        """Whose token would be used to publish.

        Returns:
            name: of the account at the Hub
        """
        return {"name": children.ask("whoami", token=self.shared.token())["name"]}

    def plan_publishing(
        self,
        run: str,
        to: str | None = None,
        what: What | None = None,
        private: bool | None = None,
        branch: str | None = None,
        pull_request: bool | None = None,
        license: str | None = None,
        quantization: list[str] | None = None,
    ) -> Told:
        """Say what a publication would hold and where it would go, file by file; nothing is sent.

        Args:
            run: Name of the run, trained to its end.
            to: Repository at the Hub, owner/name; as the run's settings say unless given, like all that follow.
            what: The adapter alone, the whole merged model, or that as GGUF files.
            private: Whether a new repository is private.
            branch: Branch to publish to, made if there is none.
            pull_request: Publish as a draft pull request instead of a commit.
            license: Licence of what is published, as the Hub abbreviates it: apache-2.0, cc-by-4.0, ...
            quantization: Number formats of the GGUF files.

        Returns:
            repo_id, files (name, size in bytes), card, warnings, checks, refusal (null if it can be published)
        """
        options = options_of(to, what, private, branch, pull_request, license, quantization)
        planned = publications.as_dict(publications.plan(self.shared.run(run), **options))
        # gradio_client takes whatever has a `path` for a file of the server's, and fetches it.
        files = [{"name": each.pop("path"), **each} for each in planned["files"]]
        return planned | {"files": files}

    def publish(
        self,
        run: str,
        to: str | None = None,
        what: What | None = None,
        private: bool | None = None,
        branch: str | None = None,
        pull_request: bool | None = None,
        license: str | None = None,
        quantization: list[str] | None = None,
    ) -> Told:
        """Publish to the Hugging Face Hub in one commit. Returns at once: see `run`, whose `published` then has the address.

        Args:
            run: Name of the run, trained to its end.
            to: Repository at the Hub, owner/name; as the run's settings say unless given, like all that follow.
            what: The adapter alone, the whole merged model, or that as GGUF files.
            private: Whether a new repository is private.
            branch: Branch to publish to, made if there is none.
            pull_request: Publish as a draft pull request instead of a commit.
            license: Licence of what is published, as the Hub abbreviates it: apache-2.0, cc-by-4.0, ...
            quantization: Number formats of the GGUF files.

        Returns:
            the run, as `runs` tells it
        """
        options = options_of(to, what, private, branch, pull_request, license, quantization)
        found = self.shared.run(run)
        publications.plan(found, **options)  # what cannot be is said before anything is begun
        jobs.start(found, "push", self.shared.token(), **options)
        return told(self.shared, found)

    def retry_publishing(self, run: str) -> Told:
        """Publish as it was asked for the last time; what has arrived is not sent again.

        Args:
            run: Name of the run.

        Returns:
            the run, as `runs` tells it
        """
        found = self.shared.run(run)
        jobs.start(found, "push", self.shared.token(), **publishing.last(found))
        return told(self.shared, found)


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


def acts(group: Acts | type[Acts]) -> Iterator[tuple[str, Callable]]:
    """Each act's name, and what does it, in the order of the file."""
    for name in vars(group if isinstance(group, type) else type(group)):
        if not name.startswith("_"):
            yield name.rstrip("_"), getattr(group, name)


def in_one_sentence(act: Callable, name: str) -> Callable:
    """The act under the name that programs know it by. What is wrong with what they asked for, they are told in one sentence;
    arguments that are not of the declared type are wrong, too."""
    checked, parameters = validate_call(act), list(inspect.signature(act).parameters)

    @functools.wraps(act)
    def answer(*values: Any) -> Any:
        try:
            return checked(**dict(zip(parameters, values, strict=True)))
        except ValidationError as error:
            raise refused(_misfit(error, name)) from None
        except UserError as error:
            raise refused(str(error)) from None

    answer.__name__ = name  # an MCP client knows it by this one
    return answer


def refused(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


def _misfit(error: ValidationError, name: str) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return (
        f"{name} was called with {where} = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}."
    )


def asked(shared: Shared, files: list[str], preset: str, settings: dict | None) -> tuple[RunSpec, Told]:
    """The spec that a program asks for, and what of it lies over the preset. UserError if a setting is wrong, or names a file
    that is not the program's to read."""
    if not files:
        raise SpecError("Name a file of examples in files, for example sample:fables-en.")
    values = nested(settings or {}, "settings").values
    presets.resolve(
        preset, overrides=values
    )  # before files are laid over it, which would hide a section that is none
    values = merge(values, {"data": {"files": shared.files(files)}})
    spec = presets.resolve(preset, overrides=values)
    for named in (spec.data.held_out_files, spec.data.against, tuple(filter(is_file, spec.evaluate.tasks))):
        shared.files(list(named))
    return spec, shared.own(values)


def is_file(task: str) -> bool:
    """Whether a task is named by a file: of examples, or its own .yaml."""
    return task not in names() and (bool(Path(task).suffix) or "/" in task or "\\" in task)


def told(shared: Shared, run: Run) -> Told:
    from core.show import run_as_dict

    return run_as_dict(run, shared.progress(run))


def options_of(*values: Any) -> Told:
    """What a publication was asked for; the run's own settings say the rest."""
    names = ("to", "what", "private", "branch", "pull_request", "license", "quantization")
    return {name: value for name, value in zip(names, values, strict=True) if value not in (None, "", [])}


def conversation(messages: list[dict[str, str]], side: Side) -> tuple[str, list[Turn], str]:
    """System prompt, earlier turns, and the question that is to be answered. RunError if the messages are no conversation."""
    rest = [(each.get("role"), each.get("content", "")) for each in messages]
    system = rest.pop(0)[1] if rest and rest[0][0] == "system" else ""
    roles = ["assistant" if place % 2 else "user" for place in range(len(rest))]
    if len(rest) % 2 == 0 or [role for role, _ in rest] != roles:
        raise RunError(
            "The messages must be a conversation that ends with a question: system if there is one, then user and assistant "
            "in turn, user last."
        )
    said = [content for _, content in rest]
    turns = [
        Turn(question, {side: Said(answer, "turn")})
        for question, answer in zip(said[:-1:2], said[1::2], strict=True)
    ]
    return system, turns, said[-1]


# MCP


def welcome_mcp(signing_in: bool) -> None:
    """Before `launch(mcp_server=True)`. UserError if MCP clients cannot be answered: for want of the package, or where people
    sign in, since gradio does not ask these clients who they are."""
    if signing_in:
        raise UserError(
            "--mcp would let in whoever has no password: leave out --auth, and listen on this machine alone."
        )
    try:
        from gradio.mcp import GradioMCPServer
        from mcp.types import TextContent
    except ImportError:
        raise UserError(f"--mcp needs the package mcp, which is not installed: pip install {EXTRA}") from None

    def in_json(server: GradioMCPServer, output: list[Any], root_url: str) -> list[TextContent]:
        words = (each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in output)
        return [TextContent(type="text", text=each) for each in words]

    # By itself it tells what an act returns as Python prints it.
    GradioMCPServer.postprocess_output_data = in_json


# The reference


def reference() -> str:
    """All of the acts as Markdown, from their docstrings."""
    lines: list[str] = []
    for title, group in GROUPS.items():
        lines += [f"## {title}", ""]
        for name, act in acts(group):
            lines += [f"### {name}", "", f"    {signature(name, act)}", "", *_described(act), ""]
    return "\n".join(lines)


def signature(name: str, act: Callable) -> str:
    """`log(run: str, most_bytes: int = 20000)`"""
    shown = []
    for each in list(inspect.signature(act).parameters.values())[1:]:
        default = "" if each.default is each.empty else f" = {each.default!r}"
        shown.append(f"{each.name}: {_type(each.annotation)}{default}")
    return f"{name}({', '.join(shown)})"


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(map(repr, get_args(annotation)))
    if annotation in (str, int, float, bool, dict):
        return annotation.__name__
    if get_origin(annotation) is list:
        return f"list[{_type(get_args(annotation)[0])}]"
    if get_origin(annotation) is dict:
        return "dict"
    return " | ".join("None" if each is type(None) else _type(each) for each in get_args(annotation))


def _described(act: Callable) -> Iterator[str]:
    """The docstring as Markdown: what it is about, its parameters as a list, what is returned."""
    about, parameters, returned = _sections(inspect.getdoc(act) or "")
    yield about
    if parameters:
        yield ""
        for line in parameters:
            name, _, words = line.partition(": ")
            yield f"- `{name}`: {words}"
    if returned:
        yield f"\nReturns {returned[0]}."


def _sections(docstring: str) -> tuple[str, list[str], list[str]]:
    before, _, returned = docstring.partition("\n\nReturns:\n")
    about, _, parameters = before.partition("\n\nArgs:\n")
    lines = (list(map(str.strip, part.splitlines())) for part in (parameters, returned))
    return (about, *lines)


if __name__ == "__main__":
    print(reference())
