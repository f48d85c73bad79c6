"""Acts that score runs, and put them side by side."""

from dataclasses import asdict

from core.compare.retrieval import Request
from core.compare.retrieval import read as read_retrieval
from core.errors import RunError
from core.evaluate.request import Asked, options
from core.evaluate.tasks import built_in, names
from core.runs import jobs
from webui.evaluate import report_of
from webui.programs.acts import Acts, Told, told


class Scores(Acts):
    def tasks(self) -> list[Told]:
        """The tasks that models can be scored on; a file of examples that was kept is one, too.

        Returns:
            for each: name, label, about, source, licence, kind
        """
        keys = {"name", "label", "about", "source", "licence", "kind"}
        return [built_in(name).model_dump(include=keys) for name in names()]

    def evaluate(
        self,
        run: str,
        tasks: list[str] | None = None,
        max_samples: int | None = None,
        shots: int | None = None,
        num_samples: int | None = None,
        max_new_tokens: int | None = None,
        gen_only: bool = False,
        side: Asked = "both",
    ) -> Told:
        """Score base and tuned model on the same rows. Returns at once; when `run` says finished, `scores` has them.

        Args:
            run: Name of the run, trained to its end.
            tasks: Names of tasks, or files of examples that were kept; as evaluate.tasks of the run says unless given.
            max_samples: Most rows of each task, evenly spread over it.
            shots: Solved examples shown before each question.
            num_samples: Most rows of each task in which the models write answers.
            max_new_tokens: Longest answer, in tokens, whatever a task says.
            gen_only: Only tasks in which the models write answers.
            side: One model alone, or both; merged is what `merge` made.

        Returns:
            the run, as `runs` tells it
        """
        found = self.shared.run(run)
        self.shared.tasks(tasks or [])
        self.shared.own({"tasks": tasks or []})
        asked = options(
            found,
            tasks=tasks or None,
            max_samples=max_samples,
            shots=shots,
            num_samples=num_samples,
            max_new_tokens=max_new_tokens,
            gen_only=gen_only,
            side=side,
        )
        jobs.start(found, "evaluate", **asked)
        return told(self.shared, found)

    def scores(self, run: str, rows: bool = False) -> Told:
        """What the evaluation of a run found: base, tuned and difference with intervals, and a verdict for each task.

        Args:
            run: Name of the run.
            rows: Also tell each row: the question, the reference, both answers and their marks.

        Returns:
            run, base_model, made_at, tasks (name, n, scores, notes, rows), prompts
        """
        found = self.shared.run(run)
        report = report_of(found)
        if report is None:
            raise RunError(
                f"The run {found.name!r} was not scored yet: call evaluate, and wait until it has finished."
            )
        plain = asdict(report)
        for task in () if rows else plain["tasks"]:
            task["rows"] = []
        return plain

    def compare_runs(self, runs: list[str]) -> Told:
        """Put runs side by side: scores, curves, the settings that differ, and cost.

        Args:
            runs: Names of two runs or more.

        Returns:
            what `atelier compare --json` prints
        """
        from core.compare.runs import as_dict, compare_runs

        return as_dict(compare_runs([self.shared.run(name) for name in runs]))

    def compare_with_retrieval(
        self,
        run: str,
        documents: list[str],
        questions: str = "",
        most_questions: int = 64,
        passages: int = 4,
        passage_tokens: int = 512,
    ) -> Told:
        """Would passages of documents do as well as training? Returns at once; `retrieval` has the answer when it has finished.

        Args:
            run: Name of the run, trained to its end.
            documents: What keep_file or keep_text gave: Markdown, text, CSV or JSON lines.
            questions: A kept file of questions with answers; what the run held out from training unless given.
            most_questions: Most questions, evenly spread over those there are; each is answered four times.
            passages: Most passages for a question.
            passage_tokens: Most tokens of a question's passages together.

        Returns:
            the run, as `runs` tells it
        """
        found = self.shared.run(run)
        if not documents:
            raise RunError(
                "Name the documents in which passages are to be found: keep_file and keep_text give their names."
            )
        self.shared.files([*documents, *([questions] if questions else [])])
        amounts = {"most_questions": most_questions, "passages": passages, "passage_tokens": passage_tokens}
        options = amounts | ({"questions": questions} if questions else {})
        Request(tuple(documents), **options)  # what cannot be is said before anything is begun
        jobs.start(found, "compare", documents=documents, **options)
        return told(self.shared, found)

    def retrieval(self, run: str) -> Told:
        """What compare_with_retrieval found: fine-tune, retrieve, both, or no clear difference, and the scores behind it.

        Args:
            run: Name of the run.

        Returns:
            what `atelier compare --rag --json` prints
        """
        found = self.shared.run(run)
        compared = read_retrieval(found)
        if compared is None:
            raise RunError(
                f"The run {found.name!r} was not held against retrieval yet: call compare_with_retrieval first."
            )
        return asdict(compared)
