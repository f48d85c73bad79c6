"""The Publish page: the plan first, then one commit to the Hugging Face Hub."""

import gradio as gr

from core import children
from core.errors import UserError
from core.publish.plan import plan
from core.runs import jobs
from webui.render import publish as render
from webui.render.parts import heading, hint
from webui.render.runs import notes_after_training, published, status_block
from webui.shared import (
    POLL,
    READ_RUN,
    SIGN_IN,
    WRITE_RUN,
    Shared,
    html,
    nowhere,
    only_news,
    run_chooser,
    spoken,
)


def room(shared: Shared, page: gr.Blocks) -> None:
    html(heading("Publish", "First the plan, file by file; then one commit to the Hugging Face Hub."))
    if SIGN_IN:
        gr.LoginButton()
    account = html(hint("Asking the Hub whose token this is …"), elem_id="account")
    with gr.Row(elem_classes="pair"):
        name = run_chooser()
        to = gr.Textbox(
            "",
            label="Repository",
            placeholder="owner/name",
            max_lines=1,
            scale=3,
            min_width=260,
            elem_id="to",
        )
    what = gr.Radio(
        [("The adapter alone, small", "adapter"), ("The whole model, merged", "merged")],
        value="adapter",
        label="What",
        elem_id="what",
    )
    private = gr.Checkbox(
        value=True, label="Private", info="Only you can see a new repository.", elem_id="private"
    )
    with gr.Row(elem_classes="acts"):
        show = gr.Button("Show the plan", elem_id="show-plan", min_width=160)
        go = gr.Button("Publish", variant="primary", interactive=False, elem_id="publish", min_width=160)
        retry = gr.Button("Try again", visible=False, elem_id="retry", min_width=160)
    message = html(elem_id="message")
    status = html(elem_id="status")
    planned = html(elem_id="plan")
    with gr.Accordion("The model card", visible=False, elem_id="card-box") as card_box:
        card = gr.Markdown(elem_id="card")
    asked, seen = nowhere(), nowhere()

    def who(token: gr.OAuthToken | None) -> str:
        try:
            return render.account(children.ask("whoami", token=shared.token(token))["name"])
        except UserError as error:
            return hint(str(error))

    def settings_of(chosen: str | None) -> dict:
        run = shared.find(chosen)
        if run is None:
            return {to: gr.skip(), what: gr.skip(), private: gr.skip()}
        settings = run.spec.publish
        return {to: settings.to or gr.skip(), what: settings.what, private: settings.private}

    def look(chosen: str | None, before: str) -> list:
        run = shared.find(chosen)
        if run is None:
            return only_news([render.nothing(), False], before)
        progress = shared.progress(run)
        mine = progress.act in ("push", "merge")
        shown = status_block(run, progress) + notes_after_training(progress) if mine else ""
        failed = mine and progress.state in ("failed", "lost", "stopped")
        return only_news([shown + published(progress), failed], before)

    @spoken(message)
    def show_plan(chosen: str | None, target: str, kind: str, hidden: bool) -> dict:
        found = plan(shared.run(chosen), target.strip(), kind, hidden)
        return {
            planned: render.plan(found),
            card: render.card(found.card),
            card_box: gr.Accordion(visible=True),
            go: gr.Button(interactive=True),
        }

    @spoken(message)
    def begin(chosen: str | None, target: str, kind: str, hidden: bool, token: gr.OAuthToken | None) -> dict:
        jobs.start(
            shared.run(chosen), "push", shared.token(token), to=target.strip(), what=kind, private=hidden
        )
        return {go: gr.Button(interactive=False)}

    def plan_again() -> dict:
        """What was shown is no longer what would be published."""
        return {go: gr.Button(interactive=False), planned: "", card_box: gr.Accordion(visible=False)}

    form = [name, to, what, private]
    now = {"fn": look, "inputs": [name, seen], "outputs": [seen, status, retry], **POLL}
    page.load(shared.trained_choices, asked, name, js=READ_RUN, **POLL).then(
        settings_of, name, form[1:], **POLL
    ).then(**now)
    page.load(who, None, account, show_progress="hidden", api_visibility="private")
    gr.Timer(1).tick(**now)
    name.input(None, name, None, js=WRITE_RUN).then(settings_of, name, form[1:], **POLL).then(**now)
    gr.on([each.change for each in form], plan_again, None, [go, planned, card_box], **POLL)
    show.click(show_plan, form, [message, planned, card, card_box, go], api_name="plan")
    gr.on([go.click, retry.click], begin, form, [message, go], api_name="publish").then(**now)
