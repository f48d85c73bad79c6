"""Acts that publish to the Hub."""

from typing import Any, Literal

from core import children
from core.publish import job as publishing
from core.publish import plan as publications
from core.runs import jobs
from webui.programs.acts import Acts, Told, told

What = Literal["adapter", "merged", "gguf"]


class Publishing(Acts):
    def account(self) -> Told:
        """Whose token would be used to publish.

        Returns:
            name: of the account at the Hub
        """
        return {"name": children.ask("whoami", token=self.shared.token())["name"]}

    def plan_publishing(
        self,
        run: str,
        to: str | None = None,
        what: What | None = None,
        private: bool | None = None,
        branch: str | None = None,
        pull_request: bool | None = None,
        license: str | None = None,
        quantization: list[str] | None = None,
    ) -> Told:
        """Say what a publication would hold and where it would go, file by file; nothing is sent.

        Args:
            run: Name of the run, trained to its end.
            to: Repository at the Hub, owner/name; as the run's settings say unless given, like all that follow.
            what: The adapter alone, the whole merged model, or that as GGUF files.
            private: Whether a new repository is private.
            branch: Branch to publish to, made if there is none.
            pull_request: Publish as a draft pull request instead of a commit.
            license: Licence of what is published, as the Hub abbreviates it: apache-2.0, cc-by-4.0, ...
            quantization: Number formats of the GGUF files.

        Returns:
            repo_id, files (name, size in bytes), card, warnings, checks, refusal (null if it can be published)
        """
        options = options_of(to, what, private, branch, pull_request, license, quantization)
        planned = publications.as_dict(publications.plan(self.shared.run(run), **options))
        # gradio_client takes whatever has a `path` for a file of the server's, and fetches it.
        files = [{"name": each.pop("path"), **each} for each in planned["files"]]
        return planned | {"files": files}

    def publish(
        self,
        run: str,
        to: str | None = None,
        what: What | None = None,
        private: bool | None = None,
        branch: str | None = None,
        pull_request: bool | None = None,
        license: str | None = None,
        quantization: list[str] | None = None,
    ) -> Told:
        """Publish to the Hugging Face Hub in one commit. Returns at once: see `run`, whose `published` then has the address.

        Args:
            run: Name of the run, trained to its end.
            to: Repository at the Hub, owner/name; as the run's settings say unless given, like all that follow.
            what: The adapter alone, the whole merged model, or that as GGUF files.
            private: Whether a new repository is private.
            branch: Branch to publish to, made if there is none.
            pull_request: Publish as a draft pull request instead of a commit.
            license: Licence of what is published, as the Hub abbreviates it: apache-2.0, cc-by-4.0, ...
            quantization: Number formats of the GGUF files.

        Returns:
            the run, as `runs` tells it
        """
        options = options_of(to, what, private, branch, pull_request, license, quantization)
        found = self.shared.run(run)
        publications.plan(found, **options)  # what cannot be is said before anything is begun
        jobs.start(found, "push", self.shared.token(), **options)
        return told(self.shared, found)

    def retry_publishing(self, run: str) -> Told:
        """Publish as it was asked for the last time; what has arrived is not sent again.

        Args:
            run: Name of the run.

        Returns:
            the run, as `runs` tells it
        """
        found = self.shared.run(run)
        jobs.start(found, "push", self.shared.token(), **publishing.last(found))
        return told(self.shared, found)


def options_of(*values: Any) -> Told:
    """What a publication was asked for; the run's own settings say the rest."""
    names = ("to", "what", "private", "branch", "pull_request", "license", "quantization")
    return {name: value for name, value in zip(names, values, strict=True) if value not in (None, "", [])}
