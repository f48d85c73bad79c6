"""evaluate.load("core/evaluate/modules/f1"): F1 of words."""

# As a module: evaluate takes the first metric that it finds by name in this file.
import core.evaluate.modules.textual as textual


class Module(textual.Textual):
    measures = ("f1",)
