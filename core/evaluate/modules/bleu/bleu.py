"""evaluate.load("core/evaluate/modules/bleu"): sacreBLEU's BLEU."""

# As a module: evaluate takes the first metric that it finds by name in this file.
import core.evaluate.modules.textual as textual


class Module(textual.Textual):
    measures = ("bleu",)
