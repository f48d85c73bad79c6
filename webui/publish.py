"""The Publish page: the plan first, then one commit to the Hugging Face Hub."""

import gradio as gr

from core import children
from core.errors import PublishError, UserError
from core.publish.gguf import formats
from core.publish.job import last
from core.publish.plan import asked as settings_asked
from core.publish.plan import plan
from core.runs import jobs
from webui.language import t
from webui.render import publish as render
from webui.render import runs as render_run
from webui.render.parts import heading, waiting
from webui.render.runs import notes_of_act, published, status_block
from webui.shared import (
    POLL,
    READ_RUN,
    WRITE_RUN,
    Shared,
    at_once,
    html,
    nowhere,
    only_news,
    run_chooser,
    spoken,
)

KINDS = [
    ("The adapter alone, small", "adapter"),
    ("The whole model, merged", "merged"),
    ("GGUF files, for llama.cpp and Ollama", "gguf"),
]
LICENSES = ["apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "openrail", "other"]


def room(shared: Shared, page: gr.Blocks) -> None:
    html(heading(t("Publish"), t("First the plan, file by file; then one commit to the Hugging Face Hub.")))
    account = html(waiting(t("Asking the Hub whose token this is …")), elem_id="account")
    with gr.Row(elem_classes="pair"):
        name = run_chooser()
        to = gr.Textbox(
            "",
            label=t("Repository"),
            placeholder=t("owner/name"),
            max_lines=1,
            scale=3,
            min_width=260,
            elem_id="to",
        )
    what = gr.Radio(
        [(t(label), kind) for label, kind in KINDS], value="adapter", label=t("What"), elem_id="what"
    )
    quantization = gr.CheckboxGroup(
        [(name.upper(), name) for name in formats()],
        value=["q8_0"],
        label=t("Number formats"),
        info=t("One file for each; q8_0 is half the size and answers hardly change."),
        visible=False,
        elem_id="quantization",
    )
    with gr.Row(elem_classes="pair"):
        license = gr.Dropdown(
            LICENSES,
            value=None,
            label=t("Licence"),
            info=t("As the Hub abbreviates it; without one nobody else may use it."),
            allow_custom_value=True,
            elem_id="license",
            min_width=260,
        )
        branch = gr.Textbox(
            "",
            label=t("Branch"),
            info=t("Made if there is none."),
            placeholder="main",
            max_lines=1,
            elem_id="branch",
            min_width=260,
        )
    with gr.Row(elem_classes="pair"):
        private = gr.Checkbox(
            value=True,
            label=t("Private"),
            info=t("Only you can see a new repository."),
            elem_id="private",
            min_width=260,
        )
        pull_request = gr.Checkbox(
            value=False,
            label=t("Pull request"),
            info=t("A draft that the owner can accept, instead of a commit."),
            elem_id="pull-request",
            min_width=260,
        )
    with gr.Row(elem_classes="acts"):
        show = gr.Button(t("Show the plan"), elem_id="show-plan", min_width=160)
        go = gr.Button(
            t("Publish it"), variant="primary", interactive=False, elem_id="publish", min_width=160
        )
        retry = gr.Button(t("Try again"), visible=False, elem_id="retry", min_width=160)
    message = html(elem_id="message")
    status = html(elem_id="status")
    planned = html(elem_id="plan")
    with gr.Accordion(t("The model card"), open=False, visible=False, elem_id="card-box") as card_box:
        card = gr.Markdown(elem_id="card")
    asked, seen = nowhere(), nowhere()

    def who(token: gr.OAuthToken | None) -> str:
        try:
            return render.account(children.ask("whoami", token=shared.token(token))["name"])
        except UserError as error:
            return render.no_account(str(error))

    def settings_of(chosen: str | None) -> dict:
        """How it was last asked to be published; before that, what its settings say."""
        run = shared.find(chosen)
        if run is None:
            return {each: gr.skip() for each in form[1:]}
        settings = settings_asked(run, **last(run))
        return {
            to: settings.to or gr.skip(),
            what: settings.what,
            quantization: gr.CheckboxGroup(
                value=list(settings.quantization), visible=settings.what == "gguf"
            ),
            license: settings.license,
            branch: settings.branch or "",
            private: settings.private,
            pull_request: settings.pull_request,
        }

    def look(chosen: str | None, before: str) -> list:
        run = shared.find(chosen)
        if run is None:
            return only_news([render.nothing(), False], before)
        progress = shared.progress(run)
        mine = progress.act in ("push", "merge", "export")
        shown = status_block(run, progress) + notes_of_act(progress) if mine else ""
        failed = render_run.can_publish_again(progress)
        return only_news([shown + published(progress), failed], before)

    def options(values: tuple) -> dict:
        """What the form says, as options of the act."""
        target, kind, numbers, terms, side, hidden, proposing = values
        return {
            "to": (target or "").strip(),
            "what": kind,
            "quantization": numbers or None,
            "license": (terms or "").strip() or None,
            "branch": (side or "").strip() or None,
            "private": hidden,
            "pull_request": proposing,
        }

    @spoken(message)
    def show_plan(chosen: str | None, *values) -> dict:
        try:
            found = plan(shared.run(chosen), **options(values))
        except PublishError as error:
            raise PublishError(render.on_the_page(str(error))) from None
        return {
            planned: render.plan(found),
            card: render.card(found.card),
            card_box: gr.Accordion(visible=True),
            go: gr.Button(interactive=found.refusal is None),
        }

    @spoken(message)
    def begin(chosen: str | None, *values) -> dict:
        jobs.start(shared.run(chosen), "push", shared.token(), **options(values))
        return {go: gr.Button(interactive=False)}

    @spoken(message)
    def try_again(chosen: str | None) -> dict:
        run = shared.run(chosen)
        jobs.start(run, "push", shared.token(), **last(run))
        return {}

    def show_formats(kind: str) -> gr.CheckboxGroup:
        return gr.CheckboxGroup(visible=kind == "gguf")

    def plan_again() -> dict:
        """What was shown is no longer what would be published."""
        return {go: gr.Button(interactive=False), planned: "", card_box: gr.Accordion(visible=False)}

    form = [name, to, what, quantization, license, branch, private, pull_request]
    now = {"fn": look, "inputs": [name, seen], "outputs": [seen, status, retry], **POLL}
    page.load(shared.trained_choices, asked, name, js=READ_RUN, **POLL).then(
        settings_of, name, form[1:], **POLL
    ).then(**now)
    page.load(who, None, account, show_progress="hidden", api_visibility="private")
    gr.Timer(1).tick(**now)
    name.input(None, name, None, js=WRITE_RUN).then(settings_of, name, form[1:], **POLL).then(**now)
    gr.on([each.change for each in form], plan_again, None, [go, planned, card_box], **POLL)
    hidden = {"show_progress": "hidden", "api_visibility": "private"}
    for button, sentence in (
        (show, "Looking at what would be published …"),
        (go, "Asking for the publication …"),
        (retry, "Asking for the publication again …"),
    ):
        button.click(None, None, message, js=at_once(sentence), **hidden)
    show.click(
        show_plan, form, [message, planned, card, card_box, go], show_progress="hidden", api_name="plan"
    )
    what.change(show_formats, what, quantization, **POLL)
    go.click(begin, form, [message, go], show_progress="hidden", api_name="publish").then(**now)
    retry.click(try_again, name, message, show_progress="hidden", api_name="retry_publishing").then(**now)
