"""The push: files become one commit in a repo on the Hugging Face Hub.

    push("ada/poems", [Upload("adapter_model.safetensors", path)], message="Poems, 3 epochs")

The client sends the files, and tries again when that fails. What it leaves to its callers is done here: no
request waits for ever, the calls around the upload are tried again too, a lost answer never makes a second
commit, nothing private lands in a public repo, what arrived is looked at again, and a failure is one sentence
that never holds the token.
"""

import functools
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from core.errors import PublishError

if TYPE_CHECKING:  # importing the client costs 0.4 s
    import httpx2
    from huggingface_hub import Discussion
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 60.0  # silence after a question for longer than this is a failure
WORK_SECONDS = 300.0  # silence after a request that makes the Hub work: joining parts, committing
PAUSES = (1.0, 2.0, 4.0)  # seconds before a second, third and fourth try
LONGEST_PAUSE = 60.0  # when the Hub asks to wait for longer, that is for the user to decide
SMALL = 1_000_000  # bytes up to which a published file is fetched again and compared
KEPT = ".gitattributes"  # says which files are large; a repo is never without

_patience: ContextVar[float | None] = ContextVar("patience", default=None)  # seconds; None: as long as above

AGAIN = "run the same command again"

RepoType = Literal["model", "dataset", "space"]
T = TypeVar("T")


@dataclass(frozen=True)
class Upload:
    path: str  # in the repo
    source: Path | bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(frozen=True)
class Pushed:
    url: str  # of the repo, or of the pull request
    commit: str
    created: bool  # the repo was made by this push


@dataclass(frozen=True)
class Account:
    """Whose a token is, and until when; `expires` is None where the Hub does not say, or it never does."""

    name: str
    expires: float | None = None  # seconds since the epoch


def push(
    repo_id: str,
    uploads: Sequence[Upload],
    *,
    token: str | None = None,
    private: bool = True,
    message: str,
    repo_type: RepoType = "model",
    revision: str | None = None,
    create_pr: bool = False,
    replaces: Sequence[str] = (),
    hardware: str | None = None,
    report: Callable[[str], None] = lambda sentence: None,
) -> Pushed:
    """All uploads in one commit, or none of them.

    A repo or branch that does not exist is created; a bare name is the token's owner's. One that exists keeps
    its visibility, and a public one is refused unless `private` is false. Pushing the same again commits nothing.
    With `create_pr` the commit goes to a draft pull request: an unfinished one of ours with that title, or a
    new one. What the repo holds under a name that fits a pattern of `replaces`, and is not among the uploads,
    goes in the same commit. A new Space is made on `hardware`. Without `token` the one of `hf auth login` or HF_TOKEN is used.
    """
    if not uploads:
        raise PublishError(f"There is nothing to publish to {repo_id}: name at least one file.")
    for upload in uploads:
        if isinstance(upload.source, Path) and not upload.source.is_file():
            raise PublishError(f"There is no file {upload.source} to publish as {upload.path}: was it moved?")
    if create_pr and revision:
        raise PublishError(f"A pull request starts from main: leave out the revision '{revision}', or it.")

    repo = _Repo(repo_id, repo_type, token)
    repo.hardware = hardware
    user = repo.check_rights(proposing=create_pr)
    # Who proposes a change decides nothing about who may see it.
    created = repo.ensure(private and not create_pr, may_create=not create_pr, report=report)
    url, branch = repo.url, revision
    if create_pr:
        pull_request = repo.pull_request(message, author=user)
        url, branch = pull_request.url, pull_request.git_reference
        report(f"The pull request {url} is a draft until you publish it there.")
    elif revision:
        repo.ensure_branch(revision, report)
        url = f"{repo.url}/tree/{revision}"

    files = "1 file" if len(uploads) == 1 else f"{len(uploads)} files"
    report(f"Sending {files} ({sum(upload.size for upload in uploads) / 1e6:.1f} MB) to {repo.id}.")
    commit = repo.commit(uploads, message, branch, replaces)
    if repo.removed:
        report(f"Removed in the same commit: {', '.join(repo.removed)}.")
    repo.check_arrival(uploads, commit)
    report(f"{files} at {url}, commit {commit[:8]}, looked at again and the same as here.")
    return Pushed(url, commit, created)


def prepare(
    repo_id: str,
    token: str | None = None,
    *,
    private: bool = True,
    repo_type: RepoType = "model",
    proposing: bool = False,
    create: bool = True,
    patience: float | None = None,
) -> tuple[Account, bool | None]:
    """Make sure that a push will be let in, before there is anything to push: whose the token is, and whether the repo
    is there: True, False (with `create` it has just been made), or None (without `create`: it is still to be made).

    The right to write is tried by announcing a file that is then not sent, which leaves no trace. PublishError in
    one sentence; with `patience`, a Hub that cannot be reached is given up on after so many seconds.
    """
    with _within(patience):
        repo = _Repo(repo_id, repo_type, token, lead="cannot be published to")
        account = repo.account()
        repo.check_rights(proposing=proposing)
        if not create or proposing:
            is_private = repo.ask("looking for the repo", repo.is_private)
            if is_private is None and proposing:
                raise PublishError(f"There is no {repo.id} to open a pull request in: check its name.")
            if is_private is None:
                return account, None
            repo.check_visibility(private, is_private)
            return account, True
        created = repo.ensure(private, may_create=True, report=lambda sentence: None)
        repo.ask("trying whether the token may write", repo.announce)
        return account, not created


def is_open_to(repo_id: str, token: str | None = None, *, patience: float | None = None) -> bool | None:
    """Whether the token may read the files of a model; False if its owner gates it, None if there is no such model."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    with _within(patience):
        repo = _Repo(repo_id, "model", token, lead="cannot be asked for")
        try:
            repo.ask(
                "asking for access",
                lambda: repo.api.auth_check(repo.id),
                passing=(GatedRepoError, RepositoryNotFoundError),
            )
        except GatedRepoError:
            return False
        except RepositoryNotFoundError:
            return None
        return True


@dataclass(frozen=True)
class Space:
    """A Space that is there."""

    id: str
    private: bool
    hardware: str | None  # that it has, or is to get
    files: tuple[str, ...]


def space(repo_id: str, token: str | None = None) -> Space | None:
    """The Space of that name; None if there is none that the token may see."""
    from huggingface_hub.errors import RepositoryNotFoundError

    repo = _Repo(repo_id, "space", token)
    try:
        found = repo.ask(
            "looking for the Space", lambda: repo.api.space_info(repo.id), passing=(RepositoryNotFoundError,)
        )
    except RepositoryNotFoundError:
        return None
    runtime = found.runtime
    hardware = (runtime.requested_hardware or runtime.hardware) if runtime else None
    return Space(
        repo.id, bool(found.private), hardware, tuple(each.rfilename for each in found.siblings or ())
    )


def request_hardware(repo_id: str, hardware: str, token: str | None = None) -> None:
    """Move a Space that is there onto other hardware. PublishError if its owner's plan does not allow that."""
    repo = _Repo(repo_id, "space", token)
    repo.ask("asking for the hardware", lambda: repo.api.request_space_hardware(repo.id, hardware))


def check_rights(repo_id: str, token: str | None = None, *, repo_type: RepoType = "model") -> str:
    """Whose the token is, once the Hub has said that it may write to that repo, or create it."""
    return _Repo(repo_id, repo_type, token).check_rights()


def whoami(token: str | None = None) -> str:
    """Whose the token is. PublishError if there is none, or the Hub does not know it."""
    return _Repo("owner/name", "model", token).account().name


class _Repo:
    """One repo and one token. Whatever is asked of the Hub is asked through `ask`."""

    def __init__(self, id: str, type: RepoType, token: str | None, lead: str = ""):
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id

        limit_waiting()
        try:
            validate_repo_id(id)
        except HFValidationError:
            raise PublishError(
                f"'{id}' cannot be a repo's name: write owner/name, in letters, digits, '-', '_' and '.'."
            ) from None
        self.id = id
        self.type = type
        self.hardware: str | None = None  # of a Space that is yet to be made
        self.lead = lead  # how a sentence about a failure begins, after the repo's name
        self.removed: tuple[str, ...] = ()  # by the latest commit
        self._digests: dict[str, str] = {}  # path -> SHA-256 of what was sent
        self._me: dict[str, Any] | None = None
        self.token = (token or get_token() or "").strip()
        self.api = HfApi(token=self.token, library_name="atelier")
        self.token_page = f"{self.api.endpoint}/settings/tokens"
        if not self.token:
            raise PublishError(
                "Publishing needs a token, and there is none: make one that may write at "
                f"{self.token_page}, then log in with `hf auth login` or set HF_TOKEN."
            )
        if not re.fullmatch(r"[!-~]+", self.token):  # the client would quote it in its complaint
            raise PublishError(
                "The token holds characters that no token has, like a space: copy it once more."
            )

    @property
    def url(self) -> str:
        return f"{self.api.endpoint}/{'' if self.type == 'model' else self.type + 's/'}{self.id}"

    def ask(self, doing: str, call: Callable[[], T], passing: tuple[type[Exception], ...] = ()) -> T:
        """What `call` returns, at the latest on the fourth try. The client itself only retries uploads.

        Errors of the kinds in `passing` are answers, and go through.
        """
        import httpx2

        pauses = iter(PAUSES if _patience.get() is None else ())
        while True:
            try:
                return call()
            except passing:
                raise
            # Uploads that failed are wrapped in RuntimeError, Xet raises it bare.
            except (httpx2.HTTPError, OSError, ValueError, RuntimeError) as error:
                pause = next(pauses, None)
                if pause is None or not may_pass(error):
                    # The cause quotes signed addresses and request headers: it stays out of the traceback.
                    raise PublishError(self.explain(error, doing)) from None
                pause = max(pause, asked_pause(error))
            time.sleep(pause)

    def me(self) -> dict[str, Any]:
        """What the Hub says of the token; asked once, as it answers that question seldom."""
        if self._me is None:
            self._me = self.ask("asking whose the token is", self.api.whoami)
        return self._me

    def account(self) -> Account:
        me = self.me()
        auth = me.get("auth", {})
        access = auth.get("accessToken", {})
        said = auth.get("expiresAt") or access.get("expiresAt") or access.get("expiration")
        return Account(me["name"], _moment(said))

    def check_rights(self, *, proposing: bool = False) -> str:
        """The user's name. To propose a change (by pull request) it is enough to see the repo."""
        me = self.me()
        user = me["name"]
        if "/" not in self.id:
            self.id = f"{user}/{self.id}"
        # Empty for a visitor who signed in by OAuth: what that token may do, only a request can tell.
        access = me.get("auth", {}).get("accessToken", {})
        if access.get("role") == "read":
            raise PublishError(
                f"The token of {user} may only read: make one that may write at {self.token_page}, "
                f"log in with it (`hf auth login`, or HF_TOKEN), then {AGAIN}."
            )
        if proposing:
            return user
        is_writable = self.ask(f"checking the rights of {user}", self.is_writable)
        if not is_writable:
            self.check_namespace(user, me.get("orgs", []))
            self.check_scopes(user, access.get("fineGrained", {}).get("scoped"))
        if is_writable is False:
            raise PublishError(f"{user} may not write to {self.id}: ask for the right, or take another name.")
        return user

    def check_namespace(self, user: str, organizations: list[dict[str, Any]]) -> None:
        writers = ("admin", "write", "contributor")
        owners = [user, *(org["name"] for org in organizations if org.get("roleInOrg", "write") in writers)]
        owner, name = self.id.split("/")
        if owner not in owners:
            own = ", ".join(f"{owner}/{name}" for owner in owners)
            raise PublishError(f"{user} may not create {self.id}: '{owner}' is somebody else; choose {own}.")

    def check_scopes(self, user: str, scopes: list[dict[str, Any]] | None) -> None:
        """`scopes` is None for a token that may do whatever its user may."""
        owner = self.id.split("/")[0]
        if scopes is not None and not any(
            scope["entity"].get("name") in (owner, self.id) and "repo.write" in scope["permissions"]
            for scope in scopes
        ):
            raise PublishError(
                f"The token of {user} may not write to the repos of {owner}: "
                f"add that permission at {self.token_page}, then {AGAIN}."
            )

    def is_writable(self) -> bool | None:
        """None if there is no such repo, or none that the token may see."""
        from huggingface_hub.errors import HfHubHTTPError

        try:
            self.api.auth_check(self.id, repo_type=self.type, write=True)
        except HfHubHTTPError as error:
            if error.response.status_code not in (403, 404):
                raise
            return False if error.response.status_code == 403 else None
        return True

    def is_private(self) -> bool | None:
        """None if there is no such repo, or none that the token may see."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            return bool(self.api.repo_info(self.id, repo_type=self.type).private)
        except RepositoryNotFoundError:
            return None

    def ensure(self, private: bool, *, may_create: bool, report: Callable[[str], None]) -> bool:
        """Whether the repo had to be created; then it is looked at again: somebody may have been faster."""
        is_private = self.ask("looking for the repo", self.is_private)
        created = is_private is None
        if created:
            if not may_create:
                raise PublishError(f"There is no {self.id} to open a pull request in: check its name.")
            report(f"Creating {self.id}, {'private' if private else 'public'}.")
            self.ask("creating the repo", lambda: self.create(private))
            is_private = self.ask("looking at the new repo", self.is_private)
        if is_private is None:
            raise PublishError(
                f"{self.id} exists, but this token may not see it: take another name or token."
            )
        self.check_visibility(private, is_private)
        if is_private and not private and may_create:
            report(f"{self.id} is private and stays so; {self.url}/settings can make it public.")
        return created

    def check_visibility(self, private: bool, is_private: bool) -> None:
        if private and not is_private:
            raise PublishError(
                f"{self.id} is public and a private push was asked for, so nothing was sent: choose another "
                f"name, make it private at {self.url}/settings, or ask for a public push."
            )

    def ensure_branch(self, branch: str, report: Callable[[str], None]) -> None:
        def is_there() -> bool:
            refs = self.api.list_repo_refs(self.id, repo_type=self.type)
            return any(branch in (each.name, each.ref) for each in refs.branches)

        if not self.ask("looking for the branch", is_there):
            report(f"Creating the branch {branch}.")
            self.ask(
                "creating the branch",
                lambda: self.api.create_branch(self.id, branch=branch, repo_type=self.type, exist_ok=True),
            )

    def announce(self) -> None:
        """Ask how a file would have to be sent, which the Hub tells only who may write."""
        from huggingface_hub import CommitOperationAdd

        file = CommitOperationAdd("README.md", b"May this token write here?")
        self.api.preupload_lfs_files(self.id, [file], repo_type=self.type)

    def create(self, private: bool) -> None:
        of_a_space = {"space_sdk": "gradio", "space_hardware": self.hardware} if self.type == "space" else {}
        self.api.create_repo(self.id, repo_type=self.type, private=private, exist_ok=True, **of_a_space)

    def pull_request(self, title: str, *, author: str) -> "Discussion":
        """Looked for first, so that neither a lost answer nor a second run opens a second one."""

        def find_or_open() -> "Discussion":
            for discussion in self.api.get_repo_discussions(
                self.id, repo_type=self.type, author=author, discussion_type="pull_request"
            ):
                if discussion.title == title and discussion.status in ("draft", "open"):
                    return discussion
            return self.api.create_pull_request(self.id, title, repo_type=self.type)

        return self.ask("opening a pull request", find_or_open)

    def commit(
        self, uploads: Sequence[Upload], message: str, revision: str | None, replaces: Sequence[str] = ()
    ) -> str:
        """The commit that has all uploads: a new one, or the last one if it has them already.

        Each try names the parent that it was made for, so of several tries only one can land.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        head: str | None = None
        operations: list[CommitOperationAdd | CommitOperationDelete] = []
        kept = {KEPT, *(upload.path for upload in uploads)}

        def leftovers(revision: str) -> list[str]:
            there = self.api.list_repo_files(self.id, repo_type=self.type, revision=revision)
            return [
                path
                for path in there
                if path not in kept and any(fnmatch(path, pattern) for pattern in replaces)
            ]

        def try_once() -> str:
            nonlocal head, operations
            last = self.api.repo_info(self.id, repo_type=self.type, revision=revision).sha
            if last != head:
                # If this is not the first try, a commit has landed: ours, with its answer lost, or another's.
                # New operations ask which files differ from what is there; old ones know what they have sent.
                additions = [CommitOperationAdd(upload.path, upload.source) for upload in uploads]
                self._digests = {each.path_in_repo: each.upload_info.sha256.hex() for each in additions}
                gone = leftovers(last) if replaces else []
                self.removed += tuple(path for path in gone if path not in self.removed)
                operations = [*additions, *(CommitOperationDelete(path) for path in gone)]
                head = last
            return self.api.create_commit(
                self.id,
                operations,
                commit_message=message,
                repo_type=self.type,
                revision=revision,
                parent_commit=head,
            ).oid

        return self.ask("sending the files (those that have arrived will not be sent again)", try_once)

    def check_arrival(self, uploads: Sequence[Upload], commit: str) -> None:
        """Look at what was published as a reader would: sizes, hashes, and of small files every byte.

        The Hub leaves out, without a word, what the repo's .gitignore names.
        """
        paths = [upload.path for upload in uploads]
        found = self.ask(
            "checking what arrived",
            lambda: self.api.get_paths_info(self.id, paths, repo_type=self.type, revision=commit),
        )
        sizes = {entry.path: getattr(entry, "size", None) for entry in found}
        missing = [upload.path for upload in uploads if sizes.get(upload.path) != upload.size]
        if missing:
            raise PublishError(
                f"{self.id} did not keep {', '.join(missing)}: take it out of the .gitignore at {self.url}, "
                f"then {AGAIN}."
            )
        there = {entry.path: entry for entry in found}
        different = [
            upload.path for upload in uploads if not self.arrived(upload, there[upload.path], commit)
        ]
        if different:
            raise PublishError(
                f"{', '.join(different)} at {self.url} is not what was sent, in commit {commit[:8]}: {AGAIN}, and "
                "trust nobody's copy of it until then."
            )

    def arrived(self, upload: Upload, entry: "RepoFile", commit: str) -> bool:
        if entry.lfs:
            return entry.lfs.sha256 == self._digests[upload.path]
        if upload.size > SMALL:
            return entry.blob_id == _git_name(upload)
        return self.ask("looking at what arrived", lambda: self.fetch(upload.path, commit)) == _content(
            upload
        )

    def fetch(self, path: str, commit: str) -> bytes:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        url = hf_hub_url(self.id, path, repo_type=self.type, revision=commit, endpoint=self.api.endpoint)
        answer = get_session().get(url, headers=build_hf_headers(token=self.token, library_name="atelier"))
        hf_raise_for_status(answer)
        return answer.content

    def explain(self, error: Exception, doing: str) -> str:
        if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
            error = error.__cause__
        lead = f"{self.id} {self.lead}; it failed" if self.lead else f"Publishing to {self.id} failed"
        sentence = f"{lead} while {doing}: {_what_and_advice(error, self)}."
        return sentence.replace(self.token, "(the token)")


def _what_and_advice(error: Exception, repo: _Repo) -> str:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RevisionNotFoundError

    match error:
        case RevisionNotFoundError():
            return f"the branch is gone ({error.response.status_code}); look who removed it, then {AGAIN}"
        case HfHubHTTPError():
            return _refusal(error, repo)
        case OfflineModeIsEnabled():
            return f"HF_HUB_OFFLINE forbids every request; unset it, then {AGAIN}"
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.ProxyError():
            return f"{repo.api.endpoint} cannot be reached; check the network and HF_ENDPOINT, then {AGAIN}"
        case httpx2.TimeoutException():
            return f"the Hub was silent for {error.request.extensions['timeout']['read']:g} seconds; {AGAIN}"
        case httpx2.HTTPError():
            return f"the connection broke off; {AGAIN}"
        case json.JSONDecodeError():
            return f"the answer was not one of the Hub's, but perhaps of a proxy or a login page; {AGAIN}"
        case OSError(filename=str(filename), strerror=str(reason)):
            return f"{filename} cannot be read ({reason}); put that right, then {AGAIN}"
        case _:  # a README that is no card, a path that git forbids, a file that storage refuses
            return f"{one_line(str(error))}; put that right, then {AGAIN}"


def _refusal(error: "HfHubHTTPError", repo: _Repo) -> str:
    status = error.response.status_code
    said = f"{status}: {one_line(error.server_message)}" if error.server_message else str(status)
    match status:
        case 401:
            return (
                f"the Hub does not accept the token ({status}), it is wrong, revoked or expired; log in with "
                f"`hf auth login` again, or set HF_TOKEN to a new one from {repo.token_page}, then {AGAIN}"
            )
        case 402:
            return f"the Hub asks for payment ({said}); see {repo.api.endpoint}/settings/billing"
        case 403 if "storage" in said:
            return f"the Hub forbids it ({said}); make room, or see {repo.api.endpoint}/settings/billing"
        case 403:
            return (
                f"the Hub forbids it ({said}); get a token that may write to {repo.id} at {repo.token_page}, "
                f"then {AGAIN}"
            )
        case 404:
            return f"the Hub does not find the repo any more ({status}); look whether it was renamed"
        case 409:
            return f"something else is being done to the repo ({said}); when that is over, {AGAIN}"
        case 412:
            return f"others kept committing at the same time ({status}); when they are done, {AGAIN}"
        case 429:
            wait = f"wait {asked_pause(error):.0f} seconds" if asked_pause(error) else "wait some minutes"
            return f"the Hub had too many requests from you ({status}); {wait}, then {AGAIN}"
        case _ if status >= 500:
            return f"the Hub has trouble of its own ({said}); in some minutes, {AGAIN}"
        case _:
            return f"the Hub refused ({said}); put that right, then {AGAIN}"


def may_pass(error: Exception) -> bool:
    """Whether another try may go better, where the client has not tried several times itself."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    match error:
        case json.JSONDecodeError():
            return True
        case HfHubHTTPError(response=response):
            if response.status_code in (409, 412):  # which the client never tries again
                return True
            passes = response.status_code in (408, 429) or response.status_code >= 500
            request = response.request
        case httpx2.TransportError(request=request):
            passes = True
        case _:
            return False
    tried_often = re.search(r"/preupload/|\.git/info/lfs/", request.url.path)
    return passes and not tried_often and asked_pause(error) <= LONGEST_PAUSE


def asked_pause(error: Exception) -> float:
    """Seconds that the Hub wants us to wait; 0 if it says nothing."""
    from huggingface_hub.utils import parse_ratelimit_headers

    response = getattr(error, "response", None)
    if response is None:
        return 0.0
    limit = parse_ratelimit_headers(response.headers)
    if limit and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else 0.0


def _moment(said: object) -> float | None:
    """Seconds since the epoch, of a moment as the Hub writes it: 2026-05-01T12:00:00.000Z."""
    try:
        return datetime.fromisoformat(str(said)).timestamp() if said else None
    except ValueError:
        return None


def _content(upload: Upload) -> bytes:
    return upload.source if isinstance(upload.source, bytes) else upload.source.read_bytes()


def _git_name(upload: Upload) -> str:
    """What git calls the content; the Hub lists files that are not large by it."""
    return hashlib.sha1(b"blob %d\0" % upload.size + _content(upload)).hexdigest()


@contextmanager
def _within(patience: float | None) -> Iterator[None]:
    """What is asked here is asked once, and waits for no answer longer than that."""
    before = _patience.set(patience)
    try:
        yield
    finally:
        _patience.reset(before)


def one_line(text: str) -> str:
    return " ".join(text.split())[:300].rstrip(".")


@functools.cache
def limit_waiting() -> None:
    """From now on no request of this process waits for ever; by default all do that are not downloads.

    A limit on the client alone would not reach the calls that ask for `timeout=None`, such as `repo_info`.
    """
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def limit(request: "httpx2.Request") -> None:
        patience = _patience.get()
        answer = patience or (ANSWER_SECONDS if request.method in ("GET", "HEAD") else WORK_SECONDS)
        connect = min(CONNECT_SECONDS, patience or CONNECT_SECONDS)
        limits = {"connect": connect, "read": answer, "write": answer, "pool": answer}
        asked: dict[str, Any] = request.extensions.get("timeout", {})
        limits |= {phase: seconds for phase, seconds in asked.items() if seconds is not None}
        request.extensions = {**request.extensions, "timeout": limits}

    def factory() -> "httpx2.Client":
        client = default_client_factory()
        client.event_hooks = {"request": [*client.event_hooks["request"], limit]}
        return client

    set_client_factory(factory)
