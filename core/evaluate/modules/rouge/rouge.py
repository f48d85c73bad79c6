"""evaluate.load("core/evaluate/modules/rouge"): ROUGE."""

# As a module: evaluate takes the first metric that it finds by name in this file.
import core.evaluate.modules.textual as textual


class Module(textual.Textual):
    measures = ("rouge_1", "rouge_2", "rouge_l")
