"""Acts before and at the beginning of a training: what there is to choose, what it would take, and its start."""

from pathlib import Path

from core import children, presets
from core import spec as specs
from core.errors import UserError
from core.models import as_dicts
from core.remote import estimate
from core.runs import jobs
from webui import forms
from webui.programs.acts import PLANNING, Acts, Told, asked, told
from webui.render.train import arguments


class Training(Acts):
    def presets(self) -> list[Told]:
        """The presets that a training starts from, the smallest first.

        Returns:
            for each: name, about; `settings` tells what it sets
        """
        return [{"name": name, "about": forms.explanation(name)} for name in presets.names()]

    def settings(self, preset: str = "tiny") -> list[Told]:
        """Every setting that a training has, as `settings` of other calls takes it.

        Args:
            preset: Whose values are told: tiny, small or 3090.

        Returns:
            for each: name (section.setting), value (with this preset), about
        """
        values = presets.resolve(preset).model_dump(mode="json")
        return [
            {"name": path, "value": values[section][name], "about": info.description}
            for path, info in specs.settings().items()
            for section, _, name in [path.partition(".")]
        ]

    def models(self) -> list[Told]:
        """Base models that have a short name, for the setting model.base; any other of the Hub's is named owner/name.

        Returns:
            for each: name, repository on the Hub, parameters, licence, and more
        """
        return as_dicts()

    def machines(self) -> list[Told]:
        """The Hub's machines (HF Jobs) for the settings compute.where hf-jobs and compute.flavor, with what they cost.

        Returns:
            for each: flavor, gpus, gpu_memory and memory (bytes), usd_per_hour
        """
        return children.ask("remote", "flavors", token=self.shared.token())["flavors"]

    def plan(self, files: list[str], preset: str = "tiny", settings: dict | None = None) -> Told:
        """Say what a training would do and take, before anything is trained: steps, choices with reasons, memory, time, disk.

        Args:
            files: What keep_file or keep_text gave, sample:fables-en, sample:fables-fr, or hf:owner/name of the Hub.
            preset: Where settings come from that are not given: tiny, small or 3090.
            settings: Settings over the preset's, by their names: {"train.epochs": 2, "method.kind": "lora"}.

        Returns:
            what `atelier plan --json` prints: total_steps, choices, memory (bytes), seconds, refusal (null if it would begin)
        """
        spec, given = asked(self.shared, files, preset, settings)
        jobs.check(spec)
        root = str(self.shared.store.root)
        return self._ask("plan", *arguments(preset, given), "--runs", root)

    def train(
        self,
        files: list[str],
        name: str = "",
        preset: str = "tiny",
        settings: dict | None = None,
        agree_to_cost: bool = False,
    ) -> Told:
        """Begin to train a model and score it against its base. Returns at once; the run goes on by itself: see `run`.

        Args:
            files: What keep_file or keep_text gave, sample:fables-en, sample:fables-fr, or hf:owner/name of the Hub.
            name: Name of the run; made from the first file's unless given.
            preset: Where settings come from that are not given: tiny, small or 3090.
            settings: Settings over the preset's, by their names: {"train.epochs": 2, "method.kind": "lora"}.
            agree_to_cost: Whether a machine of HF Jobs may be paid for; without it, the refusal says what it would cost.

        Returns:
            the run, as `runs` tells it
        """
        spec, given = asked(self.shared, files, preset, settings)
        jobs.check(spec)
        if spec.compute.where == "hf-jobs" and not agree_to_cost:
            seen = self._ask("remote", "estimate", *arguments(preset, given))
            raise UserError(
                f"{estimate.as_text(seen)} Ask again with agree_to_cost to start it, and pay for it."
            )
        store = self.shared.store
        free = store.free_name(Path(files[0].removeprefix("sample:")).stem)
        run = store.create(name.strip() or free, spec, preset)
        jobs.start(run, token=self.shared.token())
        return told(self.shared, run)

    def _ask(self, *words: str) -> Told:
        return children.ask(*words, timeout=PLANNING, **self.shared.hub())
