"""The web page: every view is drawn from what lies in the run folders, and decides nothing by itself."""

import importlib.util
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Read by gradio when it is imported; without it, gradio asks the network for its latest version.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


class _NoStubs(MetaPathFinder):
    """Keeps gradio from reading, and writing anew, the type stubs of all its components each time it is imported: 1.2 of the
    2.9 seconds that this takes. They lie in its package."""

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "gradio.component_meta":
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(name)
        load = found.loader.exec_module

        def load_and_mend(module: ModuleType) -> None:
            load(module)
            _mend(module)

        found.loader.exec_module = load_and_mend
        return found


def _mend(module: ModuleType) -> None:
    module.create_or_modify_pyi = lambda *_: None


if "gradio.component_meta" in sys.modules:  # somebody else has imported gradio before
    _mend(sys.modules["gradio.component_meta"])
else:
    sys.meta_path.insert(0, _NoStubs())
