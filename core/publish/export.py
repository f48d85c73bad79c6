"""The act `export`: GGUF files for llama.cpp and Ollama, each compared with the merged model before it gets its name."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from core.errors import PublishError, UserError
from core.presets import base_model
from core.publish import llama_cpp as converter
from core.publish import ollama as ollama_writer
from core.publish import parity
from core.publish.gate import MODELFILE
from core.publish.gguf.formats import Format, format_named, size_in
from core.publish.gguf.reading import Stored, check_says, check_tensors
from core.publish.gguf.shapes import shape_of
from core.publish.gguf.vocabulary import Vocabulary, rewritten, vocabulary_of
from core.publish.gguf.write import About, said_of, write
from core.publish.merge import PROCESSOR, merge
from core.publish.parity import MERGED, Checked, Voice, listen
from core.runs.events import Noted, Staged
from core.runs.store import Run
from core.text.load import Text, load_text
from core.train import disk
from core.train.model import ROOM, free_memory

FOLDER = "gguf"  # in the run
UNTOLD = (
    "Positions, biases and the size of heads were not compared: transformers reads them from no GGUF file of this kind, and "
    "took them from the model itself."
)


def export(
    run: Run,
    quantization: Sequence[str] | None = None,
    ollama: bool = False,
    llama_cpp: str | None = None,
    output_dir: str | None = None,
) -> str:
    """Write `gguf/NAME-FORMAT.gguf` for each format (publish.quantization unless given), and a Modelfile for Ollama if
    it is asked for; `llama_cpp` is the folder of a checkout that converts what is not written here. What is made is
    also copied to `output_dir`. PublishError if a file does not give what the model gives; it is not kept then.
    """
    formats = [format_named(name) for name in dict.fromkeys(quantization or run.spec.publish.quantization)]
    folder, text = _merged(run), load_text(run.spec)
    exporting = _Export(run, folder, text, Path(llama_cpp).expanduser() if llama_cpp else None)
    modelfile = _modelfile(text, folder, exporting.file(formats[0])) if ollama else None
    exporting.check_room(formats)
    for format in formats:
        exporting.make(format)
    made = [run.folder / FOLDER / exporting.file(format) for format in formats]
    if modelfile:
        made.append(run.folder / FOLDER / MODELFILE)
        made[-1].write_text(modelfile, "utf-8")
    if output_dir:
        _copy(made, Path(output_dir).expanduser())
    return FOLDER


def _merged(run: Run) -> Path:
    """The merged folder, made if it is missing or is not what was compared."""
    known = parity.read(run)
    if known is None or known.refusal(run, MERGED):
        merge(run)
    return run.folder / MERGED


def _modelfile(text: Text, folder: Path, file: str) -> str:
    """Before the work begins: PublishError if Ollama cannot be told how this model is asked."""
    context = AutoConfig.from_pretrained(folder).max_position_embeddings
    line = rewritten(text.tokenizer).get("\n", "\n")
    return ollama_writer.modelfile(text.template, file, context, line)


class _Export:
    """What all formats of one export share."""

    def __init__(self, run: Run, folder: Path, text: Text, checkout: Path | None) -> None:
        self.run, self.folder, self.text, self.checkout = run, folder, text, checkout
        self.config = AutoConfig.from_pretrained(folder)
        self.parameters = disk.size_of(folder) // (self.config.dtype or torch.float32).itemsize  # nearly
        self.notes: tuple[str, ...] = ()
        if checkout:
            converter.check(checkout)
        else:
            self.notes = shape_of(self.config).notes
        self._voice: Voice | None = None

    def file(self, format: Format) -> str:
        return f"{self.run.name}-{format.name}.gguf"

    def check_room(self, formats: Sequence[Format]) -> None:
        needed = sum(size_in(format, self.parameters) for format in formats)
        disk.check_room(self.run.folder, needed, 0, "The GGUF files")

    def make(self, format: Format) -> None:
        """One file, written beside, compared, renamed; what was found is recorded, also if it is a mismatch."""
        began, run = time.monotonic(), self.run
        beside = run.folder / f".{FOLDER}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        path = beside / self.file(format)
        try:
            run.events.append(Staged(stage=f"Writing {path.name}"))
            self._write(path, format)
            run.events.append(Staged(stage=f"Comparing {path.name} with the model"))
            checked = replace(self._compared(path, format), seconds=time.monotonic() - began)
            parity.record(run, checked)
            if not checked.passed:
                raise PublishError(checked.mismatch)
            disk.synced(beside)
            (run.folder / FOLDER).mkdir(exist_ok=True)
            path.replace(run.folder / FOLDER / path.name)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        run.events.append(Noted(text=parity.as_text(checked)))

    def _write(self, path: Path, format: Format) -> None:
        if self.checkout:
            converter.convert(self.checkout, self.folder, path, format)
            return
        vocabulary = self.vocabulary()
        written = write(
            self.folder,
            path,
            format,
            vocabulary,
            self.about(),
            lambda done, total: self.run.events.append(
                Staged(stage=f"Writing {path.name}", done=done, total=total)
            ),
        )
        stored, shape = Stored(path), shape_of(self.config)
        check_tensors(stored, written)
        check_says(stored, shape.name, shape.metadata())
        check_says(stored, "tokenizer", said_of(vocabulary))

    def vocabulary(self) -> Vocabulary:
        begin = self.text.template.begin
        begins = bool(begin) and self.text.template.prompt(parity.CONVERSATIONS["English"]).startswith(
            begin[0]
        )
        return vocabulary_of(self.text.tokenizer, self.config.vocab_size, self.text.stop_ids, begins)

    def about(self) -> About:
        base = self.run.spec.model.base
        local = base == "fable" or Path(base_model(base)).is_dir()
        return About(self.run.name, None if local else base, self.run.spec.publish.license)

    def _compared(self, path: Path, format: Format) -> Checked:
        """Ids first, then what the weights say."""
        stored = Stored(path)
        found = partial(
            Checked,
            format=format.name,
            file=f"{FOLDER}/{path.name}",
            sha256=parity.digest(path),
            bound=format.bound,
        )
        reads = parity.gguf_reads(stored, self.text)
        try:
            count, skipped = parity.compare_ids(self.text, reads, path.name)
        except UserError as error:
            return found(passed=False, conversations=0, noise=None, mismatch=str(error))
        limits = (
            *self.notes,
            *parity.unlike(self.text, reads),
            *([UNTOLD] if self._untold() is not None else []),
        )
        wanted = self.voice()
        got = listen(self._load(path.parent, path.name), self.text)
        noise = parity.noise(wanted.logits, got.logits)
        passed = noise <= format.bound
        why = f"{path.name}'s logits differ from the model's by {noise:.2%}, and its format explains {format.bound:.2%}"
        return found(
            passed=passed, conversations=count, noise=noise, answers=parity.side_by_side(wanted, got),
            limits=limits, skipped=skipped, mismatch="" if passed else f"{why}; it is not exported.",
        )  # fmt: skip

    def voice(self) -> Voice:
        """What the merged model says; heard once for all formats."""
        if self._voice is None:
            self._voice = listen(self._load(self.folder), self.text)
        return self._voice

    def _load(self, folder: Path, gguf_file: str | None = None) -> PreTrainedModel:
        """In float32, by transformers' own loaders; PublishError if there is no room for it."""
        needed = (
            4 * self.parameters * (2 if gguf_file else 1) * ROOM
        )  # a GGUF file is unpacked beside the model
        if needed > free_memory(PROCESSOR):
            raise PublishError(
                f"To compare the file with the model, {needed / 1e9:.0f} GB of memory are needed and "
                f"{free_memory(PROCESSOR) / 1e9:.0f} GB are free: end other programs, or export on a larger machine."
            )
        settings = {"gguf_file": gguf_file, "config": self._untold()} if gguf_file else {}
        try:
            return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **settings).eval()
        except (ValueError, NotImplementedError) as error:
            first = str(error).strip().splitlines()[0]
            raise PublishError(
                f"{gguf_file or folder.name} cannot be opened again by transformers, so it was not compared and is not "
                f"exported: {first}"
            ) from error

    def _untold(self) -> PreTrainedConfig | None:
        """The model's own config where transformers' reader of GGUF files passes something over: stretched positions,
        biases of a llama, the size of Qwen3's heads. Nowhere else, so that what the file says is put to the test."""
        plain = self.config.rope_parameters.get("rope_type", "default") == "default"
        biased = self.config.model_type == "llama" and (self.config.attention_bias or self.config.mlp_bias)
        return self.config if not plain or biased or self.config.model_type == "qwen3" else None


def _copy(made: Sequence[Path], target: Path) -> None:
    """PublishError if the folder cannot be written; each file is whole or not there."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path in made:
            beside = target / f".{path.name}"
            shutil.copyfile(path, beside)
            beside.replace(target / path.name)
    except OSError as error:
        raise PublishError(
            f"The files are in {made[0].parent}, but cannot be copied to {target}: {error.strerror}."
        ) from error
