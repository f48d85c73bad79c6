"""The number formats that a GGUF file can be written in here. Needs neither torch nor gguf."""

from dataclasses import dataclass

from core.errors import PublishError

BLOCK = 32  # weights that share a scale; a row of another length is written as f16


@dataclass(frozen=True)
class Format:
    """One format of the large weights. Norms and biases are always float32, as llama.cpp wants them."""

    name: str
    bits: float  # per weight, scales counted
    about: str
    # How far the logits may be from the merged model's, as `parity.noise` measures it: half as much again as was seen with
    # random weights, which are the worst case; of a trained model's, a third is usual. See docs/exporting.md.
    bound: float
    large: str = ""  # in which embedding and head are written, where that is another one

    @property
    def blocks(self) -> bool:
        return self.name not in ("f32", "f16", "bf16")


FORMATS = {
    each.name: each
    for each in (
        Format("f32", 32, "Every number as it is; for comparing, too large to serve.", 1e-3),
        Format("bf16", 16, "Exactly the weights of a model in bfloat16, as most bases are.", 1e-3),
        Format("f16", 16, "As exact as bf16 for all but the smallest weights, and faster on old GPUs.", 1e-3),
        Format("q8_0", 8.5, "Half the size; answers hardly change. What we publish by default.", 0.04),
        Format("q5_1", 6, "A third of the size; small changes.", 0.25, "q8_0"),
        Format("q5_0", 5.5, "A little smaller and coarser than q5_1.", 0.25, "q8_0"),
        Format("q4_1", 5, "Three tenths of the size; answers change in places.", 0.5, "q8_0"),
        Format("q4_0", 4.5, "The smallest that is made here; try it before you trust it.", 0.5, "q8_0"),
    )
}


def formats() -> tuple[str, ...]:
    """The names that `quantization` takes, the most exact first."""
    return tuple(FORMATS)


def format_named(name: str) -> Format:
    """PublishError, with the names there are, if it is none of them."""
    if found := FORMATS.get(name.lower()):
        return found
    k_quants = (
        " K-quants are made from an f16 file by llama.cpp's own llama-quantize."
        if "k" in name.lower()
        else ""
    )
    raise PublishError(f"There is no GGUF format {name!r} here: choose from {', '.join(FORMATS)}.{k_quants}")


def size_in(format: Format, parameters: int) -> int:
    """Bytes of a file of that many parameters, nearly: norms, vocabulary and metadata are left out."""
    return int(parameters * format.bits / 8)
