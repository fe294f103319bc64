"""Why a node ran again: what TFX's cache goes by, one by one."""

from __future__ import annotations

import shutil

import pytest

from pipeline.provenance.reasons import Answer, explain
from pipeline.provenance.records import open_records

OPTIONS = {"custom_config": {"code": "c0de", "train": {"epochs": 5, "seed": 0}}}


@pytest.fixture
def answers(books):
    """Explains a run: an answer by node."""

    def of(run: str, **settings) -> dict[str, Answer]:
        with open_records(books.config) as records:
            found = explain(records, run, lambda run_id: settings.get(run_id, {}))
            return {answer.node: answer for answer in found}

    return of


def texts(answer: Answer) -> list[str]:
    return [reason.text for reason in answer.reasons]


@pytest.fixture
def first(books) -> dict[str, int]:
    """The run `a`: data, and a model that was trained on them."""
    data = books.artifact("Examples")
    model = books.artifact("Model")
    books.ran("a", "ExampleGen", outputs={"examples": [data]}, key="data", fingerprint="f1")
    books.ran("a", "Trainer", {"examples": [data]}, {"model": [model]}, key="model", **OPTIONS)
    return {"data": data, "model": model}


def train(books, data: int, key: str = "other", **changes) -> None:
    options = {**OPTIONS, **changes}
    model = books.artifact("Model")
    books.ran("b", "Trainer", {"examples": [data]}, {"model": [model]}, key=key, **options)


def cached_data(books, first) -> None:
    data = {"examples": [first["data"]]}
    books.ran("b", "ExampleGen", outputs=data, key="data", state="CACHED", fingerprint="f1")


def test_node_when_nothing_came_before_then_says_so(first, answers):
    answer = answers("a")["Trainer"]
    assert (answer.state, answer.against) == ("ran", None)
    assert texts(answer) == ["no earlier run of it succeeded"]


def test_node_when_cached_then_names_the_run_that_made_its_outputs(books, first, answers):
    cached_data(books, first)
    answer = answers("b")["ExampleGen"]
    assert (answer.state, answer.against, answer.reasons) == ("cached", "a", ())


def test_parameter_when_changed_deep_within_json_then_is_named_with_both_values(
    books, first, answers
):
    train(books, first["data"], custom_config={"code": "c0de", "train": {"epochs": 7, "seed": 0}})
    answer = answers("b")["Trainer"]
    assert texts(answer) == ["custom_config.train.epochs: 5 before, 7 now"]
    (reason,) = answer.reasons
    assert (answer.against, reason.kind, reason.before, reason.now) == ("a", "parameter", 5, 7)


def test_code_when_changed_then_the_source_is_what_changed(books, first, answers):
    custom_config = {**OPTIONS["custom_config"], "code": "f00d"}
    train(books, first["data"], custom_config=custom_config)
    assert texts(answers("b")["Trainer"]) == [
        'custom_config.code: the source changed ("c0de" before, "f00d" now)'
    ]


def test_query_of_example_gen_when_changed_then_goes_by_its_own_keys(books, answers):
    def read(run: str, fingerprint: str) -> None:
        pattern = f'{{"data": {{"limit": null}}, "fingerprint": "{fingerprint}"}}'
        split = {"splits": [{"name": "single", "pattern": pattern}]}
        books.ran(run, "ExampleGen", {}, {}, key=fingerprint, input_config=split)

    read("a", "f1")
    read("b", "f2")
    assert texts(answers("b")["ExampleGen"]) == [
        'fingerprint: the data changed ("f1" before, "f2" now)'
    ]


def test_input_when_another_then_the_change_is_followed_to_where_it_begins(books, first, answers):
    data = books.artifact("Examples")
    books.ran("b", "ExampleGen", outputs={"examples": [data]}, key="new", fingerprint="f2")
    train(books, data)
    evaluated = books.artifact("ModelEvaluation")
    books.ran("a", "Evaluator", {"model": [first["model"]]}, {"evaluation": [evaluated]}, key="e")
    found = answers("b")
    (reason,) = found["Trainer"].reasons
    assert (reason.kind, reason.key, reason.node) == ("input", "examples", "ExampleGen")
    assert reason.text == (
        "input examples: ExampleGen made another, since fingerprint differs; "
        f"before, Examples {first['data']} of run a"
    )
    model = data + 1
    books.ran("b", "Evaluator", {"model": [model]}, {"evaluation": [evaluated]}, key="e2")
    assert (
        "Trainer made another, since ExampleGen ran: fingerprint differs"
        in (texts(answers("b")["Evaluator"])[0])
    )


def test_input_when_looked_up_then_the_lookup_is_named(books, first, answers):
    books.ran("a", "Evaluator", {"model": [first["model"]]}, {}, key="e")
    other = books.artifact("Model")
    books.ran("0", "Trainer", {}, {"model": [other]}, key="0")
    books.ran("b", "Baseline", looked_up={"candidate": [first["model"]], "model": [other]})
    inputs = {"model": [first["model"]], "baseline_model": [other]}
    books.ran("b", "Evaluator", inputs, {}, key="e2")
    found = answers("b")
    assert found["Baseline"].state == "looked up"
    assert texts(found["Evaluator"]) == [
        f"input baseline_model: Baseline found Model {other} of run 0; before, there was none"
    ]


def test_outputs_when_gone_from_the_disk_then_their_folder_is_named(books, first, answers):
    train(books, first["data"], key="model")
    folder = books.uri(first["model"])
    shutil.rmtree(folder)
    assert texts(answers("b")["Trainer"]) == [f"the outputs of run a are gone: {folder}"]


def test_caching_when_off_then_that_is_the_reason(books, first, answers):
    train(books, first["data"], key="model")
    found = answers("b", b={"cache": False})
    assert texts(found["Trainer"]) == ["caching is off in this run"]


def test_pusher_when_it_ran_then_is_never_cached(books, first, answers):
    books.ran("a", "Pusher", {"model": [first["model"]]}, {}, key="p")
    books.ran("b", "Pusher", {"model": [first["model"]]}, {}, key="p")
    (reason,) = answers("b")["Pusher"].reasons
    assert reason.kind == "never_cached"


def test_engine_when_another_then_its_settings_tell(books, first, answers):
    train(books, first["data"])
    beam = {"a": {"beam": {"engine": "direct"}}, "b": {"beam": {"engine": "flink"}}}
    assert texts(answers("b", **beam)["Trainer"]) == ['beam.engine: "direct" before, "flink" now']
    assert "nothing on record differs" in texts(answers("b")["Trainer"])[0]


def test_failed_attempt_when_in_between_then_is_not_what_a_node_is_compared_with(
    books, first, answers
):
    changed = {"custom_config": {"code": "c0de", "train": {"epochs": 9, "seed": 0}}}
    inputs = {"examples": [first["data"]]}
    books.ran("failed", "Trainer", inputs, {}, key="x", state="FAILED", **changed)
    train(books, first["data"], custom_config={"code": "c0de", "train": {"epochs": 7, "seed": 0}})
    assert answers("failed")["Trainer"].state == "failed"
    assert answers("b")["Trainer"].against == "a"


def test_metadata_when_another_pipeline_has_a_run_of_the_same_id_then_is_left_out(
    books, first, answers
):
    books.ran("a", "Reader", pipeline="other")
    assert set(answers("a")) == {"ExampleGen", "Trainer"}
