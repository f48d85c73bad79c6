"""Memory of a training step and of an evaluation, part by part, counted from what autograd keeps.

The terms of full training and LoRA stand for tensors that were seen with torch's saved_tensors_hooks on a Llama of
transformers, in float32, mixed and bfloat16. Those of DoRA, 4 bits, experts, checkpointing, GPT-2 and of every GPU are
counted from the code and were not measured.
"""

from dataclasses import dataclass

from core.train.limits import KERNELS, LARGE, SHORT, logits_at_once
from core.train.plan.shape import ModelShape

FORMATS = {"float32": 4.0, "bfloat16": 2.0}  # bytes of a number
# NF4: half a byte, a scale of 8 bits for each 64 weights, and one of 32 bits for each 256 of those scales; Dettmers
# et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023.
FOUR_BITS = 0.5 + 1 / 64 + 4 / (64 * 256)
OPTIMIZERS = {"adamw": 8.0, "adamw_8bit": 2.0, "adafactor": 0.04}  # bytes for each trained parameter
GRADIENT = 4.0
# On a processor oneDNN writes machine code for each size of a product in bfloat16 and keeps the last 1,024: 0.42 MB each,
# measured with 160 lengths of rows in core.train.attention, which makes four products of each length up to SHORT. For
# longer rows it calls torch's kernel, which keeps 5 MB for each length for good (measured with 8 heads of 32).
CODE_OF_PRODUCT, PRODUCTS_KEPT, PRODUCTS_OF_LENGTH, CODE_OF_LENGTH = 420_000, 1024, 4, 5_000_000
# Beside the model when the first step begins: trainer, optimizer's and autograd's own. Measured.
STARTED = 25_000_000
# Of what comes and goes within a step glibc keeps pieces that are too small for what comes next: fitted to trainings of
# 3 to 135 million parameters, where it was 0.85 to 1.4 times what is counted in bfloat16 and 1.1 to 1.7 times in
# float32. torch's own allocator on a GPU was not measured.
PIECES = {"cpu": {"float32": 1.4, "bfloat16": 1.25}, "cuda": {"float32": 1.0, "bfloat16": 1.0}}
# Between allocator and kernel pieces stay that fit nobody; and what a plan does not know of.
RESERVE = {"cpu": 0.08, "cuda": 0.06}


@dataclass(frozen=True)
class Way:
    """How a step is computed, as far as memory depends on it."""

    method: str = "full"
    rank: int = 16
    targets: tuple[str, ...] = ()
    weights: str = "float32"  # as the base is held: float32, bfloat16 or 4bit
    compute: str = "float32"  # format of the products
    optimizer: str = "adamw"
    checkpointing: bool = False
    packing: bool = True
    fused_attention: bool = True  # no square of scores is kept
    added_tokens: int = 0
    sharded: int = 1  # processes that share weights, gradients and optimizer

    @property
    def adapter(self) -> bool:
        return self.method != "full"


@dataclass(frozen=True)
class Memory:
    """Bytes by part. They are not all taken at once: `peak` is less than the sum where one goes as another comes."""

    process: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    code: int  # what the training itself takes, and the kernels that are made for each size
    reserve: int
    peak: int  # that is expected, the reserve left out

    @property
    def needed(self) -> int:
        return self.peak + self.reserve

    def parts(self) -> dict[str, int]:
        names = ("process", "weights", "gradients", "optimizer", "activations", "logits", "code", "reserve")
        return {name: getattr(self, name) for name in names}


def weights(shape: ModelShape, way: Way) -> int:
    """The model as it is held, added matrices included."""
    added = 4 * shape.trainable(way.method, way.rank, way.targets, way.added_tokens) if way.adapter else 0
    if way.weights != "4bit":
        return int(FORMATS[way.weights] * shape.parameters / way.sharded + added)
    rest = shape.parameters - shape.linear_weights  # embedding, head and norms, in 16 bits
    return int((FOUR_BITS * shape.linear_weights + 2 * rest) / way.sharded + added)


def training(
    shape: ModelShape,
    way: Way,
    tokens: int,
    longest: int,
    trained: int,
    accumulating: bool,
    process: int,
    device: str = "cpu",
    sizes: int = 1,
    lengths: int = 1,
) -> Memory:
    """Of a step whose largest micro-batch has `tokens` (padding counted), `trained` of them learnt.

    `accumulating`: there are gradients of earlier micro-batches. `sizes` and `lengths`: how many different ones of
    micro-batches and of rows there are.
    """
    held = weights(shape, way)
    trainable = shape.trainable(way.method, way.rank, way.targets, way.added_tokens)
    gradients = int(GRADIENT * trainable / way.sharded)
    state = int(OPTIMIZERS[way.optimizer] * trainable / way.sharded)
    kept, working = activations(shape, way, tokens, longest)
    kept, working = (int(PIECES[device][way.compute] * part) for part in (kept, working))
    logits = int(PIECES[device][way.compute] * loss(shape, way, trained, device))
    head = int(GRADIENT * shape.vocabulary * shape.hidden) if not way.adapter else 0
    code = STARTED + kernels(shape, way, sizes, lengths, longest) if device == "cpu" else 0
    static = process + held + state + code
    begins = kept + max(logits + head, head + working) + (gradients if accumulating else 0)
    # Layer by layer backwards, activations go and gradients come.
    ends = gradients + (head if shape.tied else 0) + working
    peak = static + max(begins, ends)
    return Memory(
        process=process,
        weights=held,
        gradients=gradients,
        optimizer=state,
        activations=kept + working,
        logits=logits,
        code=code,
        reserve=int(RESERVE[device] * peak),
        peak=int(peak),
    )


def evaluation(
    shape: ModelShape, way: Way, tokens: int, trained: int, process: int, device: str = "cpu"
) -> Memory:
    """Of the scoring after training: base and tuned model, one copy of the weights if they differ by an adapter.

    The head answers at the `trained` ones of `tokens` alone: see core.evaluate.likelihood.
    """
    format_ = "bfloat16" if shape.parameters >= LARGE or device == "cuda" else "float32"
    copies = 1 if way.adapter else 2
    number = FORMATS[format_]
    held = weights(shape, way) if way.weights == "4bit" else int(copies * number * shape.parameters)
    # Nothing is kept for a way back: the widest place of one block is all.
    working = int(tokens * number * (4 * shape.hidden + 3 * shape.intermediate * max(1, shape.experts_used)))
    logits = int(trained * shape.vocabulary * number + 256 * shape.vocabulary * 8)
    peak = process + held + working + logits
    return Memory(process, held, 0, 0, working, logits, 0, int(RESERVE[device] * peak), int(peak))


def kernels(shape: ModelShape, way: Way, sizes: int, lengths: int, longest: int) -> int:
    """Machine code that is written for products of every size."""
    if way.compute != "bfloat16":
        return 0
    different = len({(linear.inputs, linear.outputs) for linear in shape.linears})
    for_each = 3 * different  # forwards, and for the gradients of both factors
    if way.adapter:
        for_each = 2 * different + 4 * len(shape.chosen(way.targets))
    if way.packing and longest <= SHORT:
        return CODE_OF_PRODUCT * min(PRODUCTS_KEPT, sizes * for_each + lengths * PRODUCTS_OF_LENGTH)
    return CODE_OF_PRODUCT * min(PRODUCTS_KEPT, sizes * for_each) + CODE_OF_LENGTH * min(
        lengths, longest // KERNELS + 1
    )


def activations(shape: ModelShape, way: Way, tokens: int, longest: int) -> tuple[int, int]:
    """What a micro-batch's forward pass keeps for its backward pass, and what a block's backward pass takes beside it."""
    number = FORMATS[way.compute]
    mixed = way.compute == "bfloat16" and way.weights == "float32"
    stream = 4.0 if mixed or way.weights == "float32" else 2.0  # of the sums that go from block to block
    block = _block(shape, way, number, stream, mixed)
    if not way.fused_attention:
        block += shape.heads * longest * (2 * number + 4)  # scores, softmax, and that cast
    wide = shape.intermediate * max(1, shape.experts_used)
    working = tokens * (3 * wide * number + 3 * shape.hidden * 4)
    widest = max(linear.weights for linear in shape.linears)
    if way.weights == "4bit" or way.method == "dora":
        working += 2 * 2 * widest  # one layer's weights, whole again, forwards and backwards
    copies = 2 * shape.linear_weights if mixed else 0  # in the format of the products, kept for the way back
    if mixed and way.checkpointing:
        copies = 2 * shape.linear_weights // shape.layers
    last = tokens * shape.hidden * (4 + number)
    if way.checkpointing:
        kept = tokens * (shape.layers * shape.hidden * stream + block) + copies + last
    else:
        kept = tokens * shape.layers * block + copies + last
    return int(kept), int(working)


def _block(shape: ModelShape, way: Way, number: float, stream: float, mixed: bool) -> float:
    """Bytes that one block keeps for each token."""
    hidden, queries, keys = shape.hidden, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    used = max(1, shape.experts_used)
    # A norm's input in float32, the root; and what it gave before it was scaled, for the scale's gradient.
    norm = 4 * hidden + 4 + (0 if way.adapter else stream * hidden)
    attention = number * (2 * queries + 2 * keys) + 4 * shape.heads
    # Gate, its activation, up, their product; GPT-2 writes its activation out in six operations in float32.
    inner = (number * 4 * used if shape.gated else 4.0 * 6) * shape.intermediate
    if way.adapter:
        inputs = _adapter_inputs(shape, way, number)
    else:
        readers = sum(linear.inputs == hidden for linear in shape.linears[:-1]) if mixed else 2
        inputs = number * hidden * readers  # with mixed formats each layer keeps a cast of its own
    experts = number * hidden * (used - 1) if shape.experts else 0
    return shape.norms * norm + attention + inner + inputs + experts


def _adapter_inputs(shape: ModelShape, way: Way, number: float) -> float:
    """What the added matrices keep: their input, cast for each layer apart in 16 bits, and what the first one gave."""
    chosen = shape.chosen(way.targets)
    narrow = sum(way.rank * number for _ in chosen)
    if number == 4:
        return 2 * shape.hidden * number + narrow
    casts = sum(linear.inputs * (max(1, shape.experts_used) if linear.experts else 1) for linear in chosen)
    casts -= shape.intermediate * max(1, shape.experts_used)  # the last one's is the product counted already
    if way.method == "dora":
        casts += 2 * sum(linear.outputs for linear in chosen)
    return number * max(casts, 0) + narrow


def loss(shape: ModelShape, way: Way, trained: int, device: str) -> int:
    """Head and cross entropy, made part by part over the positions that are learnt: see core.train.loss."""
    rows = min(max(trained, 1), logits_at_once(shape.vocabulary, device))
    number = FORMATS[way.compute]
    logits = rows * shape.vocabulary * (4 if number == 4 else 4 + number)
    head = shape.vocabulary * shape.hidden
    cast = number * head if way.compute == "bfloat16" and way.weights == "float32" else 0
    product = number * head if not way.adapter else 0  # of each part, for the head's gradient
    return int(logits + cast + product + trained * shape.hidden * 2 * number)


def disk(shape: ModelShape, way: Way, checkpoints: int) -> int:
    """Bytes of the checkpoints that are kept, one more while it is written, and of final/."""
    trainable = shape.trainable(way.method, way.rank, way.targets, way.added_tokens)
    one = (
        4 * trainable + OPTIMIZERS[way.optimizer] * trainable + 4_000_000
    )  # weights, optimizer, tokenizer, state
    final = 4 * trainable if way.adapter else 4 * shape.parameters
    kept = max(2, checkpoints)  # the latest and the best, whatever the limit
    return int((kept + 1) * one + final + 4_000_000)


def memory_by_method(shape: ModelShape, longest: int = 1024, process: int = 550_000_000) -> dict[str, int]:
    """Bytes that full, lora and qlora need at least on a GPU: rank 16, one row of `longest` tokens at a time,
    activations computed again on the way back. Experts cannot be held in 4 bits."""
    found = {}
    for kind, held in (("full", "float32"), ("lora", "bfloat16"), ("qlora", "4bit")):
        if kind == "qlora" and shape.experts:
            continue
        way = Way(
            method=kind,
            weights=held,
            compute="bfloat16",
            checkpointing=True,
            fused_attention=not shape.sinks,
        )
        found[kind] = training(
            shape, way, longest, longest, longest, accumulating=True, process=process, device="cuda"
        ).needed
    return found
