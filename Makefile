# Two commands do everything: `make run` and `make test`. Each sets up what it needs first.
CONFIG ?= configs/digits.yaml
BIN := .venv/bin
SOURCES := pipeline components trainer_module serving tests benchmarks examples setup.py

.PHONY: help run test test-slow test-chaos test-databases test-airflow test-kubeflow test-flink \
	airflow flink flink-stop kfp lint format bench bench-loop \
	bench-features bench-input bench-serving bench-engines bench-pipeline bench-growth lock clean

help:  ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*  ## /\1  /p' Makefile | awk '{t=$$1; $$1=""; printf "%-15s%s\n", t, $$0}'

run: .venv/.run-stamp  ## Train, evaluate and push CONFIG (default digits), then ask the model.
	$(BIN)/tapeline run $(CONFIG)
	$(BIN)/tapeline predict $(CONFIG) --sample 3

test: .venv/.dev-stamp  ## Run the tests (about half an hour on two cores).
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

test-slow: .venv/.dev-stamp  ## Run the tests that take too long for every change.
	$(BIN)/python -m pytest -m slow

test-flink: .venv/.dev-stamp  ## Run the tests of a real Flink cluster; Java 17 and Maven.
	$(BIN)/python -m pytest -m flink tests/flink

test-chaos: .venv/.dev-stamp  ## Kill and break runs, and go on with each.
	$(BIN)/python -m pytest -m "chaos and not databases" tests/e2e

test-databases: .venv/.dev-stamp  ## Run the tests of metadata in PostgreSQL and MariaDB.
	@command -v mariadbd >/dev/null 2>&1 && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || \
	    echo "to run them all: apt-get install postgresql mariadb-server"
	$(BIN)/python -m pytest -m databases

test-kubeflow: .venv/.dev-stamp .venv-kfp/.stamp  ## Run the tests of Kubeflow, with a real kfp client.
	$(BIN)/python -m pytest -m kubeflow tests/kubeflow

test-airflow: .venv/.dev-stamp .venv-airflow/.stamp  ## Run the tests of a real Airflow.
	$(BIN)/python -m pytest -m airflow tests/airflow

kfp: .venv-kfp/.stamp  ## Make .venv-kfp, from which `tapeline submit` and `schedule` ask Kubeflow.

flink: .venv/.run-stamp  ## Start a Flink cluster on this machine, until Ctrl-C; Java 17 and Maven.
	$(BIN)/python -m pipeline.beam.flink start

flink-stop: .venv/.run-stamp  ## End the Flink cluster of `make flink`.
	$(BIN)/python -m pipeline.beam.flink stop

airflow: .venv/.run-stamp .venv-airflow/.stamp  ## Start an Airflow with CONFIG's DAG, until Ctrl-C.
	$(BIN)/python -m pipeline.runners.airflow.standalone $(CONFIG)

lint: .venv/.dev-stamp  ## Check style, types and the direction of imports.
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev-stamp  ## Format the code.
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: .venv/.run-stamp  ## Time whole runs against importing TFX.
	$(BIN)/python -m benchmarks.whole_run

bench-loop: .venv/.run-stamp build/bench-packages/.stamp  ## Time the training loop against others.
	TF_CPP_MIN_LOG_LEVEL=3 PYTHONPATH=build/bench-packages $(BIN)/python -W ignore -m benchmarks.loop

bench-features: .venv/.run-stamp  ## Time each feature of the step against the plain step.
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -W ignore -m benchmarks.features

bench-input: .venv/.run-stamp  ## Time the training's input against a bare TFRecordDataset.
	$(BIN)/python -m benchmarks.input_pipeline

bench-serving: .venv/.run-stamp  ## Time requests to the embedded server against bare handlers.
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -W ignore -m benchmarks.serving

bench-engines: .venv/.run-stamp  ## Time the data nodes in one process, in several, and on Flink.
	$(BIN)/python -m benchmarks.engines $(BENCH_ENGINES)

bench-pipeline: .venv/.run-stamp  ## Time a whole taxi run against TFX's own taxi example.
	$(BIN)/python -m benchmarks.pipeline $(BENCH_PIPELINE)

bench-growth: .venv/.run-stamp  ## Time whole runs on more and more rows, and their memory.
	$(BIN)/python -m benchmarks.growth $(BENCH_GROWTH)

lock: .venv/.run-stamp  ## Resolve requirements/*.in into the locks again.
	UV=$$(command -v uv || echo build/uv/bin/uv); cd requirements; case $$UV in build/*) UV=../$$UV;; esac; \
	for name in uv tfx-1.16 dev airflow kfp; do \
	    $$UV pip compile -q --python-version 3.10 --generate-hashes $$name.in -o $$name.txt; done; \
	$$UV pip compile -q --python-version 3.10 --generate-hashes --no-deps bench.in -o bench.txt

clean:  ## Remove the environment and what was built; runs/ stays.
	rm -rf .venv .venv-airflow .venv-kfp build *.egg-info .pytest_cache .mypy_cache .ruff_cache \
	    .import_linter_cache

.venv/.run-stamp: requirements/tfx-1.16.txt requirements/uv.txt requirements/bootstrap.sh setup.py
	sh requirements/bootstrap.sh run
	touch $@

.venv/.dev-stamp: .venv/.run-stamp requirements/dev.txt
	sh requirements/bootstrap.sh dev
	touch $@

.venv-airflow/.stamp: requirements/airflow.txt requirements/uv.txt requirements/bootstrap.sh
	sh requirements/bootstrap.sh airflow
	touch $@

.venv-kfp/.stamp: requirements/kfp.txt requirements/uv.txt requirements/bootstrap.sh
	sh requirements/bootstrap.sh kfp
	touch $@

build/bench-packages/.stamp: requirements/bench.txt | .venv/.run-stamp
	sh requirements/bootstrap.sh bench
	touch $@
