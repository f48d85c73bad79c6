"""A base so small that a training of it takes a second, and runs of it that nothing interrupted."""

from collections.abc import Callable

import pytest

from core.presets import FABLE
from core.runs import Run, RunStore
from core.spec import RunSpec
from core.text.tokenizers import load_tokenizer
from tests.conftest import quick
from tests.train import child


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> str:
    """A base with fable's tokenizer and next to no weights."""
    from transformers import AutoConfig, AutoModelForCausalLM, set_seed

    folder = tmp_path_factory.mktemp("base") / "small"
    load_tokenizer(str(FABLE)).save_pretrained(
        folder
    )  # as it is saved; making it of fable's takes half a second
    config = AutoConfig.from_pretrained(FABLE)
    config.update(
        {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
        | {"num_key_value_heads": 2, "head_dim": 8}
    )
    set_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def spec_of(small) -> Callable[..., RunSpec]:
    """Settings of a run of ten steps with a checkpoint at 4, 8 and 10, and others on top."""
    base = {
        "model": {"base": small},
        "train": {"max_steps": 10, "evaluate_every": 4, "batch_size": 6, "max_length": 96},
        "evaluate": {"after_training": False, "prompts": ()},
    }
    return lambda *layers: quick(base, *layers)


@pytest.fixture(scope="session")
def straight(spec_of, tmp_path_factory) -> Callable[..., Run]:
    """The run with these settings on top that nothing interrupts, trained once for all who ask."""
    store, made = RunStore(tmp_path_factory.mktemp("straight") / "runs"), {}

    def run_of(*layers: dict) -> Run:
        key = str(layers)
        if key not in made:
            made[key] = store.create(f"straight-{len(made)}", spec_of(*layers))
            assert child.train(made[key]) == 0, made[key].console.read_text()[-3000:]
        return made[key]

    return run_of
