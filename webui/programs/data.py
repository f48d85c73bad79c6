"""Acts on examples: brought, checked, cleaned and kept."""

import re
import tempfile
from pathlib import Path

from gradio_client.utils import is_file_obj_with_meta

from core import children
from core.errors import DataError
from webui.chosen import BUILT_IN
from webui.programs.acts import PLANNING, Acts, Told, asked
from webui.render.train import arguments


class Data(Acts):
    def data_sets(self) -> Told:
        """The data sets that can be named in `files`: the built-in ones, and those that were saved here.

        Returns:
            built_in and saved: a list each, of name and file; the file is what `files` takes
        """
        built = [{"name": label, "file": name} for name, label in BUILT_IN.items()]
        saved = [{"name": name, "file": path} for name, path in self.shared.sets.choices()]
        return {"built_in": built, "saved": saved}

    def keep_file(self, file: dict) -> Told:
        """Keep a file of examples, or of documents, on the server, to be named in later calls.

        Args:
            file: The file, as handle_file(path) of gradio_client makes it; JSON lines, JSON, CSV, TSV, Parquet, text, Markdown.

        Returns:
            file: what `files` takes
        """
        if not is_file_obj_with_meta(file):
            raise DataError(
                "Give the file as handle_file(path) of gradio_client makes it, or its text to keep_text."
            )
        return {"file": self.shared.keep(file["path"])}

    def keep_text(self, text: str, name: str = "examples.jsonl") -> Told:
        """Keep a text on the server as a file of examples, or of documents, to be named in later calls.

        Args:
            text: What is in the file, such as {"question": "...", "answer": "..."} on each line.
            name: Its name; the ending says how it is read: .jsonl, .json, .csv, .tsv, .txt, .md.

        Returns:
            file: what `files` takes
        """
        called = re.sub(r"[^\w.-]+", "-", name)[-80:].strip("-.") or "examples.jsonl"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / called
            path.write_text(
                text, "utf-8", "surrogatepass"
            )  # whether that can be read is for the reader to say
            return {"file": self.shared.keep(str(path))}

    def check_data(
        self, files: list[str], preset: str = "tiny", settings: dict | None = None, rows: int = 0
    ) -> Told:
        """Read examples and say everything about them, as `atelier data check` does; nothing is trained.

        Args:
            files: What keep_file or keep_text gave, sample:fables-en, sample:fables-fr, or hf:owner/name of the Hub.
            preset: Where settings come from that are not given: tiny, small or 3090.
            settings: Settings over the preset's, by their names: {"train.max_length": 512}.
            rows: Examples to show token by token: trained, context or cut.

        Returns:
            rows, kept, problems (file, line, why, fix), lengths in tokens, stops, and more
        """
        words = self._words(files, preset, settings)
        return children.ask(
            "data", "check", *words, "--rows", str(rows), timeout=PLANNING, **self.shared.hub()
        )

    def save_data(
        self, name: str, files: list[str], preset: str = "tiny", settings: dict | None = None
    ) -> Told:
        """Clean examples and keep them under a name: without copies and what cannot be used, mended where that is safe.

        Args:
            name: Name of the data set: letters, digits, dots, dashes and underscores, 64 at most.
            files: What keep_file or keep_text gave, sample:fables-en, sample:fables-fr, or hf:owner/name of the Hub.
            preset: Where settings come from that are not given: tiny, small or 3090.
            settings: Settings over the preset's, by their names: {"data.drop": ["duplicate"]}.

        Returns:
            file (what `files` takes), kept, dropped and mended (each by reason)
        """
        made = self.shared.sets.save(name, self._words(files, preset, settings), **self.shared.hub())
        told = {each: made[each] for each in ("kept", "dropped", "mended")}
        return {"file": str(self.shared.sets.path(name)), **told}

    def _words(self, files: list[str], preset: str, settings: dict | None) -> list[str]:
        return arguments(preset, asked(self.shared, files, preset, settings)[1])
