"""A llama.cpp checkout that the user names, for models that are not written here: its own converter does the work."""

import os
import subprocess
import sys
from pathlib import Path

from core.errors import PublishError
from core.publish.gguf.formats import Format

CONVERTER = "convert_hf_to_gguf.py"
WRITES = ("f32", "f16", "bf16", "q8_0")
SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def check(checkout: Path) -> None:
    """PublishError if the folder is no llama.cpp checkout."""
    if not (checkout / CONVERTER).is_file():
        raise PublishError(f"There is no {CONVERTER} in {checkout}: name the folder of a llama.cpp checkout.")


def convert(checkout: Path, folder: Path, target: Path, format: Format) -> None:
    """Write the model in `folder` as `target` by the checkout's converter, in a process of its own that gets no token.

    PublishError, with its last words, if it fails; all of them are in the run's console.log.
    """
    if format.name not in WRITES:
        raise PublishError(
            f"llama.cpp's converter writes {', '.join(WRITES)} and not {format.name}: make it of the f16 file with its "
            "llama-quantize."
        )
    command = [sys.executable, str(checkout / CONVERTER), str(folder), "--outfile", str(target)]
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    done = subprocess.run(
        [*command, "--outtype", format.name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    print(done.stdout)
    if done.returncode or not target.is_file():
        last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise PublishError(
            f"llama.cpp's converter in {checkout} failed: {last} The whole of it is in console.log."
        )
