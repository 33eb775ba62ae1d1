# Every target prepares .venv/ first; the work is done by Python.
BIN = .venv/bin
START_WITH = $(or $(PYTHON),python3)

.PHONY: install run test lint bench chaos

install:
	@command -v "$(START_WITH)" >/dev/null || { echo "$(START_WITH) was not found: install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13)" >&2; exit 1; }
	@"$(START_WITH)" tools/bootstrap.py

run: install
	@exec $(BIN)/python tools/foreground.py $(BIN)/citaplanner run --demo

test: install
	@exec $(BIN)/python -m tools.check test

lint: install
	@exec $(BIN)/python -m tools.check lint

bench: install
	@exec $(BIN)/python -m benchmarks

chaos: install
	@exec $(BIN)/python -m benchmarks.chaos --seed "$(or $(SEED),1)" --kills "$(or $(KILLS),40)"
