"""Writing a GGUF file, one tensor after the other, so that a model larger than the memory can be written."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoConfig

from core.errors import PublishError
from core.publish.gguf.formats import BLOCK, FORMATS, Format
from core.publish.gguf.shapes import Shape, shape_of
from core.publish.gguf.vocabulary import Vocabulary

FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    **{name: gguf.LlamaFileType[f"MOSTLY_{name.upper()}"] for name in FORMATS if name != "f32"},
}
LARGEST_F16 = 65504.0
EMBEDDING, HEAD = "token_embd.weight", "output.weight"


@dataclass(frozen=True)
class Written:
    """A tensor as it was put into the file: what reading it again must give."""

    shape: tuple[int, ...]
    kind: str  # as gguf calls it: Q8_0
    sha256: str  # of its bytes


@dataclass(frozen=True)
class About:
    """What a file says of the model beside its numbers."""

    name: str
    base: str | None = None  # the base's name on the Hub
    license: str | None = None


def write(
    folder: Path,
    target: Path,
    format: Format,
    vocabulary: Vocabulary,
    about: About,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Written]:
    """Write the model in `folder` (safetensors, config.json) as the one file `target`; what each tensor became.

    `report` hears how many of the tensors are written. PublishError if the model or a number of it has no place there.
    """
    shape = shape_of(AutoConfig.from_pretrained(folder))
    tensors = _tensors(folder, shape)
    writer = gguf.GGUFWriter(target, shape.name)
    _say(writer, shape, format, vocabulary, about)
    kinds = {}
    for name, (_, dimensions) in tensors.items():
        kinds[name] = kind = _kind(name, dimensions, format)
        stored = gguf.quants.quant_shape_to_byte_shape(dimensions, kind) if _packed(kind) else dimensions
        dtype = np.dtype(np.uint8 if _packed(kind) else np.float16 if kind.name == "F16" else np.float32)
        size = int(np.prod(stored)) * dtype.itemsize
        writer.add_tensor_info(name, stored, dtype, size, raw_dtype=kind)
    extra = dict(shape.extra_tensors())
    for name, value in extra.items():
        writer.add_tensor_info(name, value.shape, value.dtype, value.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    written = {}
    for done, (name, (source, dimensions)) in enumerate(tensors.items()):
        report(done, len(tensors))
        weight = shape.laid_out(source[1], _read(*source))
        data = _quantized(source[1], weight, kinds[name])
        writer.write_tensor_data(data)
        written[name] = Written(dimensions, kinds[name].name, hashlib.sha256(data.tobytes()).hexdigest())
    for name, value in extra.items():
        writer.write_tensor_data(value)
        written[name] = Written(value.shape, "F32", hashlib.sha256(value.tobytes()).hexdigest())
    writer.close()
    return written


def _tensors(folder: Path, shape: Shape) -> dict[str, tuple[tuple[Path, str], tuple[int, ...]]]:
    """By name in the file: where each is found, and its shape. A head that is the embedding is left out."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as weights:
            names = weights.keys()
            for name in names:
                in_file = shape.tensor_name(name)
                if not (shape.tied and in_file == HEAD):
                    found[in_file] = ((path, name), tuple(weights.get_slice(name).get_shape()))
    return found


def _read(path: Path, name: str) -> np.ndarray:
    with safe_open(path, "pt") as weights:
        return weights.get_tensor(name).to(torch.float32).numpy()


def _kind(name: str, dimensions: tuple[int, ...], format: Format) -> gguf.GGMLQuantizationType:
    wanted = format.large if format.large and name in (EMBEDDING, HEAD) else format.name
    if len(dimensions) == 1:
        wanted = "f32"
    elif FORMATS[wanted].blocks and dimensions[-1] % BLOCK:
        wanted = "f16"
    return gguf.GGMLQuantizationType[wanted.upper()]


def _packed(kind: gguf.GGMLQuantizationType) -> bool:
    """Whether numpy has no type for it, so that it is written as bytes."""
    return kind.name not in ("F32", "F16")


def _quantized(name: str, weight: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    if kind.name == "F16" and np.abs(weight).max() > LARGEST_F16:
        raise PublishError(f"The weight {name} has numbers too large for f16: choose bf16 or q8_0.")
    if not np.isfinite(weight).all():
        raise PublishError(
            f"The weight {name} has numbers that are none (nan or inf): the training went wrong."
        )
    return gguf.quants.quantize(np.ascontiguousarray(weight), kind)


def _say(writer: gguf.GGUFWriter, shape: Shape, format: Format, vocabulary: Vocabulary, about: About) -> None:
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(about.name)
    if about.license:
        writer.add_license(about.license)
    if about.base:
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, about.base.rpartition("/")[2])
        writer.add_base_model_repo_url(0, f"https://huggingface.co/{about.base}")
    for key, value in shape.metadata().items():
        _add(writer, f"{shape.name}.{key}", value)
    writer.add_file_type(FILE_TYPES[format.name])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for key, value in said_of(vocabulary).items():
        _add(writer, f"tokenizer.{key}", value)


def said_of(vocabulary: Vocabulary) -> dict[str, object]:
    """Keys of the file, without `tokenizer.` before them; nothing is said of an id that there is not."""
    values: dict[str, object] = {
        "ggml.model": vocabulary.model,
        "ggml.pre": vocabulary.pre,
        "ggml.tokens": vocabulary.tokens,
        "ggml.token_type": vocabulary.types,
        "ggml.add_bos_token": vocabulary.add_bos,
        "ggml.add_eos_token": False,
        "chat_template": vocabulary.chat_template,
    }
    if vocabulary.model == "llama":
        values |= {"ggml.scores": vocabulary.scores, "ggml.add_space_prefix": vocabulary.add_space_prefix}
    else:
        values["ggml.merges"] = vocabulary.merges
    ids = {
        "bos": vocabulary.bos,
        "eos": vocabulary.eos,
        "eot": vocabulary.ends_turn,
        "unknown": vocabulary.unknown,
        "padding": vocabulary.padding,
    }
    return values | {f"ggml.{name}_token_id": number for name, number in ids.items() if number is not None}


def _add(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case tuple():
            kind = gguf.GGUFValueType.INT32 if isinstance(value[0], int) else None
            writer.add_key_value(key, list(value), gguf.GGUFValueType.ARRAY, sub_type=kind)
