# make run | make test | make demo    (Windows: README.md has the same as pip and python commands)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run demo test test-llama lint screenshots

run: $(VENV)/installed
	$(BIN)/python app.py

demo: $(VENV)/installed
	$(BIN)/python -m core demo

# What fails while others share the machine is tried once more, alone, and counts if it fails again.
test: $(VENV)/installed-dev
	tests/install-browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder || $(BIN)/python -m pytest --last-failed --last-failed-no-failures none
	PYTHONPATH=$(CURDIR)/$(VENV)/extras $(BIN)/python -m pytest -m extras tests/train tests/evaluate tests/browser/test_programs.py

# GGUF files read by llama.cpp itself, which is compiled here first: a quarter of an hour, and cmake and a compiler.
test-llama: $(VENV)/installed-dev
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --upgrade --target $(VENV)/llama llama-cpp-python==0.3.36 diskcache==5.6.3
	PYTHONPATH=$(CURDIR)/$(VENV)/llama $(BIN)/python -m pytest -m llama tests/publish

lint: $(VENV)/installed-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

screenshots: $(VENV)/installed-dev
	tests/install-browser
	PYTHONPATH=. $(BIN)/python docs/screenshots.py

$(VENV)/installed: requirements.txt pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	touch $@

$(VENV)/installed-dev: requirements.txt requirements-dev.txt requirements-extras.txt pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --upgrade --target $(VENV)/extras -r requirements-extras.txt
	touch $@ $(VENV)/installed
