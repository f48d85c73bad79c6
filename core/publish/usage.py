"""How a reader of the card runs the model: with transformers, as a server, with Ollama or llama.cpp. Needs no torch."""

from collections.abc import Sequence
from pathlib import Path

from core.presets import base_model
from core.publish.gate import GGUF
from core.spec import RunSpec

ASK = "Who are you?"


def base_on_hub(spec: RunSpec) -> str | None:
    """The base's Hub id; None if it is embedded or a folder."""
    local = spec.model.base == "fable" or Path(base_model(spec.model.base)).is_dir()
    return None if local else spec.model.base


def usage(
    spec: RunSpec,
    what: str,
    run: str,
    repo_id: str,
    quantization: Sequence[str] = (),
    modelfile: bool = False,
) -> str:
    """Three ways, each of which begins with what it needs. `modelfile`: there is one beside the GGUF files."""
    if what == GGUF:
        return "\n\n".join(
            (
                _ollama(repo_id, quantization, modelfile),
                _llama_cpp(repo_id, quantization),
                _transformers_gguf(run, repo_id, quantization),
            )
        )
    code = _merged(repo_id) if what == "merged" else _adapter(spec, repo_id)
    return "\n\n".join((code, _server(what, run, repo_id), _elsewhere(run)))


def _merged(repo_id: str) -> str:
    return f"""### With transformers

```python
from transformers import pipeline

chat = pipeline("text-generation", "{repo_id}")
said = chat([{{"role": "user", "content": "{ASK}"}}], max_new_tokens=100)
print(said[0]["generated_text"][-1]["content"])
```"""


def _adapter(spec: RunSpec, repo_id: str) -> str:
    """The base is loaded first, with room for the tokens that the template added."""
    where, base = f'"{base_on_hub(spec)}"', ""
    if spec.model.base == "fable":
        where, base = (
            "FABLE",
            "The base lies in Atelier itself and nowhere else, so this needs Atelier installed, or a checkout of it as the "
            "folder that Python is started in.\n\n",
        )
    elif not base_on_hub(spec):
        where = f'"path/to/{Path(spec.model.base).name}"'
        base = (
            f"The base is a folder of whoever published this, called `{Path(spec.model.base).name}`: ask for it, or for the "
            "merged model.\n\n"
        )
    revision = f', revision="{spec.model.revision}"' if spec.model.revision and base_on_hub(spec) else ""
    first = "from core.presets import FABLE\n" if where == "FABLE" else ""
    return f"""### With transformers and PEFT

{base}```python
{first}from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

tokenizer = AutoTokenizer.from_pretrained("{repo_id}")
model = AutoModelForCausalLM.from_pretrained({where}{revision})
model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
model = PeftModel.from_pretrained(model, "{repo_id}")
model.generation_config = GenerationConfig.from_pretrained("{repo_id}")

asked = [{{"role": "user", "content": "{ASK}"}}]
prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**prompt, max_new_tokens=100)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
```"""


def _server(what: str, run: str, repo_id: str) -> str:
    everyone = (
        f"\n\nWhoever has only this repository starts `transformers serve {repo_id}` instead."
        if what == "merged"
        else ""
    )
    return f"""### As a server that speaks OpenAI's protocol

Where the run is, `atelier serve {run}` answers for the tuned model and its base; the address it prints goes here:

```python
from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
said = client.chat.completions.create(model="tuned", messages=[{{"role": "user", "content": "{ASK}"}}])
print(said.choices[0].message.content)
```{everyone}"""


def _elsewhere(run: str) -> str:
    return f"""### With Ollama or llama.cpp

Where the run is, `atelier export {run}` writes GGUF files and a Modelfile, compared with this model;
`atelier push {run} --what gguf` publishes them."""


def _ollama(repo_id: str, quantization: Sequence[str], modelfile: bool) -> str:
    own = (
        "\n\nFrom a download of this repository, with its template and its stop tokens: `ollama create mine -f Modelfile`."
        if modelfile
        else ""
    )
    return f"""### With Ollama

```bash
ollama run hf.co/{repo_id}:{_first(quantization)}
```{own}"""


def _llama_cpp(repo_id: str, quantization: Sequence[str]) -> str:
    return f"""### With llama.cpp

```bash
llama-cli -hf {repo_id}:{_first(quantization)}
llama-server -hf {repo_id}:{_first(quantization)} --port 8000   # speaks OpenAI's protocol
```"""


def _transformers_gguf(run: str, repo_id: str, quantization: Sequence[str]) -> str:
    file = f"{run}-{(quantization or ('q8_0',))[0]}.gguf"
    return f"""### With transformers

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{repo_id}", gguf_file="{file}")  # as float32
tokenizer = AutoTokenizer.from_pretrained("{repo_id}", gguf_file="{file}")
```"""


def _first(quantization: Sequence[str]) -> str:
    return (quantization or ("q8_0",))[0].upper()
