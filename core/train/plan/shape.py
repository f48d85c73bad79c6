"""The shape of a model, read from its config alone: how many weights it has, which of them a method trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.train.rates import expert_rank


@dataclass(frozen=True)
class Linear:
    """A linear layer that stands in every block, or the layers of all experts as one."""

    name: str
    inputs: int
    outputs: int
    experts: int = 0  # 0: not one of several that the router chooses from
    bias: bool = False

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs * max(1, self.experts)

    @property
    def parameters(self) -> int:
        return self.weights + (self.outputs * max(1, self.experts) if self.bias else 0)

    def added(self, rank: int) -> int:
        """Parameters of the two matrices beside it, those of every expert included."""
        return rank * (self.inputs + self.outputs) * max(1, self.experts)


@dataclass(frozen=True)
class Family:
    """How a kind of model differs from Llama: what its config does not say. None: the config says it."""

    qkv_bias: bool | None = None
    output_bias: bool | None = None
    norms: int = 2  # in a block
    normed_heads: str = ""  # queries and keys are normed: each head by itself (head), or all together (all)
    norm_bias: bool = False
    tied: bool = False  # unless the config says otherwise
    fused: bool = False  # one layer for queries, keys and values, one for gate and up
    expert_bias: bool = False
    sinks: bool = False  # a learnt score for each head, which no fused attention kernel knows
    positions: bool = False  # learnt ones
    gated: bool = True  # the block's second half has a gate beside the way up
    head_size: int | None = None  # unless the config says otherwise


FAMILIES = {
    "llama": Family(),
    "smollm3": Family(tied=True),
    "granite": Family(),
    "mistral": Family(qkv_bias=False, output_bias=False),
    "mixtral": Family(qkv_bias=False, output_bias=False),
    "phi3": Family(qkv_bias=False, output_bias=False, fused=True),
    "qwen2": Family(qkv_bias=True, output_bias=False),
    "qwen3": Family(normed_heads="head"),
    "qwen3_moe": Family(normed_heads="head"),
    "gemma": Family(tied=True, head_size=256),
    "gemma2": Family(tied=True, norms=4, head_size=256),
    "gemma3_text": Family(tied=True, norms=4, normed_heads="head", head_size=256),
    "olmo2": Family(normed_heads="all"),
    "gpt_oss": Family(qkv_bias=True, output_bias=True, expert_bias=True, sinks=True, head_size=64),
    "gpt2": Family(
        qkv_bias=True,
        output_bias=True,
        norm_bias=True,
        tied=True,
        fused=True,
        positions=True,
        gated=False,
    ),
}
NAMES = {  # what a config may call it
    "hidden": ("hidden_size", "n_embd", "hidden"),
    "layers": ("num_hidden_layers", "n_layer", "layers"),
    "heads": ("num_attention_heads", "n_head", "heads"),
    "kv_heads": ("num_key_value_heads", "kv_heads"),
    "head_dim": ("head_dim",),
    "intermediate": ("intermediate_size", "n_inner", "intermediate"),
    "expert_size": ("moe_intermediate_size",),
    "vocabulary": ("vocab_size", "vocabulary", "vocab"),
    "context": ("max_position_embeddings", "n_positions", "context"),
    "experts": ("num_local_experts", "num_experts", "experts"),
    "experts_used": ("num_experts_per_tok", "experts_used"),
    "tied": ("tie_word_embeddings", "tied"),
    "kind": ("model_type", "kind", "type", "architecture"),
}
NEEDED = ("hidden", "layers", "heads", "vocabulary")


@dataclass(frozen=True)
class ModelShape:
    """What a plan needs to know of a model. Sizes are counts of numbers, not bytes."""

    kind: str  # transformers' model_type
    layers: int
    hidden: int
    intermediate: int  # of the part that a token passes: of one expert, where there are several
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    tied: bool
    experts: int  # 0: none
    experts_used: int  # of them, by each token
    gated: bool
    norms: int  # in a block
    sinks: bool
    positions: int
    linears: tuple[Linear, ...]  # of one block
    block: int  # parameters of one block
    parameters: int
    exact: bool  # whether this kind of model is known; others are counted as if they were Llamas

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, and of the head if it is another matrix."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def linear_weights(self) -> int:
        """Of all blocks: what can be quantized, and what a LoRA stands beside."""
        return self.layers * sum(linear.weights for linear in self.linears)

    @property
    def active_weights(self) -> int:
        """Of all blocks, those that one token is multiplied with."""
        return self.layers * sum(
            linear.inputs * linear.outputs * (self.experts_used if linear.experts else 1)
            for linear in self.linears
        )

    def chosen(self, targets: Sequence[str] = ()) -> tuple[Linear, ...]:
        """The layers that get added matrices: all, or those of these names; gate_up stands for gate and up."""
        if not targets or "all-linear" in targets:
            return self.linears
        last = {target.rsplit(".", 1)[-1] for target in targets}
        return tuple(linear for linear in self.linears if linear.name in last)

    def trainable(
        self, kind: str = "full", rank: int = 16, targets: Sequence[str] = (), added_tokens: int = 0
    ) -> int:
        """Parameters that a method trains; those of `added_tokens` rows beside the added matrices."""
        if kind == "full":
            return self.parameters + added_tokens * self.hidden * (1 if self.tied else 2)
        chosen = self.chosen(targets)
        rank *= 2 if kind == "pissa" else 1  # its other half is held still by hand
        each = expert_rank(rank, self.experts_used)
        matrices = sum(linear.added(each if linear.experts else rank) for linear in chosen)
        if kind == "dora":
            matrices += sum(linear.outputs * max(1, linear.experts) for linear in chosen)
        return self.layers * matrices + added_tokens * self.hidden * (1 if self.tied else 2)


def shape_of(config: Mapping[str, Any]) -> ModelShape | None:
    """The shape that a config of transformers describes, or a mapping with the same by plainer names (layers, hidden,
    heads, vocabulary, ...); None if it lacks what is needed.

    A config of text and pictures is read for its text.
    """
    config = {**config, **config["text_config"]} if isinstance(config.get("text_config"), Mapping) else config
    found = {
        name: next((config[each] for each in names if config.get(each) is not None), None)
        for name, names in NAMES.items()
    }
    if any(not isinstance(found[name], int) for name in NEEDED):
        return None
    kind = str(found["kind"] or "llama")
    family = FAMILIES.get(kind, Family())
    hidden, layers, heads = found["hidden"], found["layers"], found["heads"]
    kv_heads = found["kv_heads"] or heads
    head_dim = found["head_dim"] or family.head_size or hidden // heads
    experts = found["experts"] or 0
    intermediate = (found["expert_size"] if experts else None) or found["intermediate"] or 4 * hidden
    linears = tuple(
        _linears(config, family, hidden, heads * head_dim, kv_heads * head_dim, intermediate, experts)
    )
    norm = hidden * (2 if family.norm_bias else 1)
    normed_heads = {"": 0, "head": 2 * head_dim, "all": (heads + kv_heads) * head_dim}[family.normed_heads]
    router = experts * hidden + (experts if family.expert_bias else 0)
    block = (
        sum(linear.parameters for linear in linears)
        + family.norms * norm
        + normed_heads
        + router
        + (heads if family.sinks else 0)
    )
    tied = family.tied if found["tied"] is None else bool(found["tied"])
    context = found["context"] or 2048
    positions = context if family.positions else 0
    embeddings = found["vocabulary"] * hidden * (1 if tied else 2) + positions * hidden
    return ModelShape(
        kind=kind,
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=found["vocabulary"],
        context=context,
        tied=tied,
        experts=experts,
        experts_used=found["experts_used"] or (2 if experts else 0),
        gated=family.gated,
        norms=family.norms,
        sinks=family.sinks,
        positions=positions,
        linears=linears,
        block=block,
        parameters=layers * block + embeddings + norm,
        exact=kind in FAMILIES,
    )


def _linears(
    config: Mapping[str, Any], family: Family, hidden: int, queries: int, keys: int, inner: int, experts: int
) -> list[Linear]:
    """Of one block, by the names that transformers gives them."""
    said = bool(config.get("attention_bias"))
    qkv = said if family.qkv_bias is None else family.qkv_bias
    out = said if family.output_bias is None else family.output_bias
    mlp = bool(config.get("mlp_bias"))
    if not family.gated:
        return [
            Linear("c_attn", hidden, queries + 2 * keys, bias=qkv),
            Linear("c_proj", queries, hidden, bias=out),
            Linear("c_fc", hidden, inner, bias=True),
            Linear("c_proj", inner, hidden, bias=True),
        ]
    if family.fused:
        attention = [Linear("qkv_proj", hidden, queries + 2 * keys, bias=qkv)]
    else:
        attention = [
            Linear("q_proj", hidden, queries, bias=qkv),
            Linear("k_proj", hidden, keys, bias=qkv),
            Linear("v_proj", hidden, keys, bias=qkv),
        ]
    attention.append(Linear("o_proj", queries, hidden, bias=out))
    if experts or family.fused:
        up = [Linear("gate_up_proj", hidden, 2 * inner, experts, family.expert_bias)]
    else:
        up = [Linear("gate_proj", hidden, inner, bias=mlp), Linear("up_proj", hidden, inner, bias=mlp)]
    return [
        *attention,
        *up,
        Linear("down_proj", inner, hidden, experts, bool(experts) and family.expert_bias or mlp),
    ]
