"""evaluate.load("core/evaluate/modules/chrf"): sacreBLEU's chrF."""

# As a module: evaluate takes the first metric that it finds by name in this file.
import core.evaluate.modules.textual as textual


class Module(textual.Textual):
    measures = ("chrf",)
