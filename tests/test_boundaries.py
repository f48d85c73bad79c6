"""Which module may load what, checked by loading it in a fresh interpreter."""

import subprocess
import sys

import pytest

HEAVY = ["torch", "transformers", "trl", "peft", "datasets", "accelerate"]


@pytest.mark.parametrize(
    "module, absent",
    [
        ("core.cli", [*HEAVY, "gradio", "huggingface_hub", "numpy", "pandas", "webui"]),
        ("core.show, core.children, core.examine, core.demo", [*HEAVY, "gradio", "webui"]),
        ("core.forecast, core.publish.before", [*HEAVY, "gradio", "huggingface_hub", "webui"]),
        ("core.publish.plan, core.evaluate.report, core.talk, core.data", [*HEAVY, "gradio", "webui"]),
        ("webui.page", HEAVY),
        ("core.train.job, core.evaluate.job, core.talk.serve, core.publish.job", ["gradio", "webui"]),
    ],
)
def test_a_module_does_not_load_what_it_must_not(module, absent):
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
