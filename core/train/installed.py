"""Packages that some settings need and that are not installed with the rest. Needs no torch: asked before a run is made."""

from importlib.util import find_spec

from core.errors import SpecError
from core.evaluate.tasks import HARNESS
from core.spec import RunSpec


def check_installed(spec: RunSpec) -> None:
    """SpecError, with the command that mends it, for the first setting whose package is not there."""
    for name in spec.train.report_to:
        if find_spec(name) is None:
            raise SpecError(f"train.report_to: {name} is not installed: pip install {name}")
    if find_spec("bitsandbytes") is None:
        if spec.method.kind == "qlora":
            raise SpecError(
                "method.kind qlora needs bitsandbytes, which is not installed: pip install bitsandbytes, or choose lora."
            )
        if spec.train.optimizer == "adamw_8bit":
            raise SpecError(
                "train.optimizer adamw_8bit needs bitsandbytes, which is not installed: pip install bitsandbytes, or "
                "choose adamw."
            )
    theirs = [name for name in spec.evaluate.tasks if name.startswith(HARNESS)]
    if theirs and spec.evaluate.after_training and find_spec("lm_eval") is None:
        raise SpecError(
            f"evaluate.tasks: {theirs[0]} needs lm-eval, which is not installed: pip install lm_eval==0.4.13, or leave it out."
        )
    if spec.compute.strategy == "deepspeed" and find_spec("deepspeed") is None:
        raise SpecError(
            "compute.strategy deepspeed needs the package deepspeed: install it with `pip install deepspeed`, or take fsdp, "
            "which shares the same things and needs nothing more."
        )
