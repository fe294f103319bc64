"""What a person sees of a run, from the events that the nodes and the loop emit."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.display import PlainDisplay, RichDisplay, make_display, summary_lines
from pipeline.report import CACHED, FAILED, NOT_BLESSED, PUSHED, Node, Summary
from trainer_module.progress import emit


def train(epochs: int, steps_per_epoch: int = 10, first: int = 0) -> None:
    """Emits what a training emits, from the end of epoch `first`."""
    emit(
        "train_begin",
        step=first * steps_per_epoch,
        total_steps=epochs * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
    )
    for epoch in range(first + 1, epochs + 1):
        values = {"loss": 1 / epoch, "loss/class": 0.7, "class/accuracy": 0.5}
        emit("epoch_end", epoch=epoch, step=epoch * steps_per_epoch, train=values, eval=values)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def plain(stream):
    with PlainDisplay(stream) as display:
        yield display


def test_plain_when_nodes_end_then_prints_one_line_each(plain, stream) -> None:
    emit("node_begin", node="ExampleGen")
    emit("node_end", node="ExampleGen", seconds=2.314, state="done")
    emit("node_begin", node="Transform")
    emit("node_end", node="Transform", seconds=0.04, state="cached")

    assert [line.split() for line in stream.getvalue().splitlines()] == [
        ["ExampleGen", "done", "2.3", "s"],
        ["Transform", "cached", "0.0", "s"],
    ]
    assert plain.nodes == [Node("ExampleGen", "done", 2.31), Node("Transform", "cached", 0.04)]
    assert plain.failure is None


def test_plain_when_a_node_fails_then_records_which_and_why(plain, stream) -> None:
    emit("node_failed", node="Trainer", seconds=1.5, cause="ValueError: no")

    assert stream.getvalue().split() == ["Trainer", "failed", "1.5", "s"]
    assert plain.nodes == [Node("Trainer", FAILED, 1.5)]
    assert plain.failure == {"node": "Trainer", "cause": "ValueError: no"}


def test_plain_when_the_gate_stops_then_is_no_failure_and_keeps_what_was_found(
    plain, stream
) -> None:
    verdict = {"findings": [], "acceptance": None}
    emit("node_failed", node="AnomalyGate", seconds=0.1, cause="1 anomaly", verdict=verdict)

    assert stream.getvalue().split() == ["AnomalyGate", "stopped", "0.1", "s"]
    assert plain.verdict == verdict


def test_plain_when_a_lookup_ends_then_says_nothing_unless_it_fails(plain, stream) -> None:
    emit("node_begin", node="Baseline")
    emit("node_end", node="Baseline", seconds=0.1, state="done")
    assert (stream.getvalue(), plain.nodes) == ("", [])

    emit("node_failed", node="Baseline", seconds=0.1, cause="OSError: no")
    assert plain.failure == {"node": "Baseline", "cause": "OSError: no"}


def test_plain_when_training_for_1000_epochs_then_prints_ten_lines(plain, stream) -> None:
    train(1000)

    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == [f"{n}/1000" for n in range(100, 1001, 100)]
    assert lines[-1] == "  epoch 1000/1000  loss 0.0010  class/accuracy 0.5000"


@pytest.mark.parametrize("epochs", [1, 2, 9, 10, 11, 19, 20, 21, 99, 101, 109, 999])
def test_plain_when_training_then_prints_some_lines_and_the_last_epoch(
    epochs, plain, stream
) -> None:
    train(epochs)

    lines = stream.getvalue().splitlines()
    assert min(epochs, 5) <= len(lines) <= 11
    assert f"epoch {epochs}/{epochs} " in lines[-1]


def test_plain_when_training_goes_on_from_a_checkpoint_then_says_from_where(plain, stream) -> None:
    train(4, first=2)

    lines = stream.getvalue().splitlines()
    assert lines[0] == "  resumed from the checkpoint at step 20"
    assert [line.split()[1] for line in lines[1:]] == ["3/4", "4/4"]


def test_plain_when_something_is_out_of_the_ordinary_then_says_so(plain, stream) -> None:
    emit("warm_start", taken=4, fresh=["class/kernel:0"])
    emit("warning", text="a checkpoint cannot be read")
    emit("trained", steps=70, stopped="early stop")
    emit("trained", steps=100, stopped=None)

    assert stream.getvalue().splitlines() == [
        "  began with 4 variables of the last blessed model; new: class/kernel:0",
        "  warning: a checkpoint cannot be read",
        "  ended after 70 steps: early stop",
    ]


def test_plain_when_training_steps_then_says_nothing(plain, stream) -> None:
    emit("train_step", step=1, total_steps=10, epoch=1, steps_per_second=1.0, values={})
    assert stream.getvalue() == ""


def test_display_when_it_cannot_show_an_event_then_the_run_goes_on(plain, stream, capsys) -> None:
    emit("epoch_end", epoch=1)  # without its figures
    emit("node_end", node="Trainer", seconds=1.0, state="done")

    assert [node.name for node in plain.nodes] == ["Trainer"]
    assert stream.getvalue().startswith("Trainer")
    assert "KeyError" in capsys.readouterr().err


def test_display_when_left_then_hears_nothing_more(stream) -> None:
    with PlainDisplay(stream) as display:
        pass
    emit("node_end", node="Trainer", seconds=1.0, state="done")
    assert (stream.getvalue(), display.nodes) == ("", [])


def shown(console: Console) -> str:
    """Returns what the terminal got, without the codes that move and color."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_rich_when_nodes_end_then_shows_a_line_each(console) -> None:
    with RichDisplay(console) as display:
        emit("node_begin", node="ExampleGen")
        emit("node_end", node="ExampleGen", seconds=2.34, state="done")
        emit("node_end", node="Transform", seconds=0.04, state="cached")
        emit("node_failed", node="Trainer", seconds=1.5, cause="ValueError: no")
        display.say("[digits]  run 1")

    text = shown(console)
    for mark, name, state, seconds in [
        ("✓", "ExampleGen", "done", "2.3"),
        ("=", "Transform", "cached", "0.0"),
        ("✗", "Trainer", "failed", "1.5"),
    ]:
        assert re.search(rf"{mark} {name} +{state} +{seconds} s", text)
    assert "[digits]  run 1" in text, "brackets are no markup"
    assert [node.state for node in display.nodes] == ["done", "cached", "failed"]
    assert display.failure == {"node": "Trainer", "cause": "ValueError: no"}


def test_rich_when_training_then_the_bar_has_the_figures(console) -> None:
    values = {"loss": 0.1234, "loss/class": 9.0, "learning_rate": 8.0, "gradient_norm": 7.0}
    # What the display shows when it is left is drawn then, whatever its refresh thread did.
    with RichDisplay(console):
        emit("node_begin", node="Trainer")
        emit("train_begin", step=20, total_steps=300, steps_per_epoch=10)
        emit("train_step", step=60, total_steps=300, epoch=6, steps_per_second=120.0, values=values)

    text = shown(console)
    assert "resumed from the checkpoint at step 20" in text
    last = next(line for line in reversed(text.splitlines()) if "epoch" in line)
    assert re.search(r"epoch 6/30 .+ loss 0\.1234 120 steps/s 2 s left", last)
    assert not any(name in last for name in ("loss/class", "learning_rate", "gradient_norm"))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("trained", {"epochs": 30, "steps": 300}),
        ("node_end", {"node": "Trainer", "seconds": 1.0, "state": "done"}),
    ],
)
def test_rich_when_the_training_ends_then_the_bar_is_gone(console, kind, fields) -> None:
    with RichDisplay(console):
        emit("train_begin", step=0, total_steps=300, steps_per_epoch=10)
        emit(kind, **fields)
        console.file.truncate(0)
        console.file.seek(0)
    assert "steps/s" not in shown(console)


def test_make_display_when_on_a_terminal_then_is_live_else_plain(tmp_path: Path) -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal, (tmp_path / "log").open("w") as file:
        assert isinstance(make_display(terminal), RichDisplay)
        assert isinstance(make_display(file), PlainDisplay)
    os.close(master)


FIGURES = {
    "run_id": "1",
    "run_dir": "/out/runs/1",
    "metrics": {"class/accuracy": 0.98126},
    "rows": {"train": 70, "eval": 20, "test": 10},
    "training": {"epochs": 30, "steps": 600, "best_epoch": 27, "eval": {"loss": 0.05}},
    "seconds": 61.24,
}


def words(summary: Summary) -> dict[str, str]:
    """Returns the closing lines by their first word."""
    lines = [line for line in summary_lines(summary, "tapeline predict M") if line]
    return {line.split()[0]: line.partition(" ")[2].strip() for line in lines}


def test_summary_when_pushed_then_says_all_and_how_to_try_it() -> None:
    blessing = {"blessed": True, "reason": "accuracy 0.98 >= 0.96", "baseline": None}
    summary = Summary(PUSHED, servable="/srv/digits/1", blessing=blessing, **FIGURES)

    assert words(summary) == {
        "read": "100 rows: 70 train, 20 eval, 10 test",
        "trained": "30 epochs, 600 steps; best epoch 27: loss 0.0500",
        "evaluated": "class/accuracy 0.9813 on the test split",
        "decided": "blessed: accuracy 0.98 >= 0.96",
        "pushed": "/srv/digits/1",
        "try": "it     tapeline predict M",
        "took": "61.2 s; log /out/runs/1/run.log",
    }


def test_summary_when_cached_then_says_that_nothing_is_new() -> None:
    found = words(Summary(CACHED, servable="/srv/digits/1", **FIGURES))

    assert found["pushed"] == "nothing new; /srv/digits/1 is in place"
    assert "try" not in found


def test_summary_when_not_blessed_then_says_why_and_that_nothing_was_pushed() -> None:
    blessing = {"blessed": False, "reason": "accuracy 0.9 is not >= 0.96", "baseline": None}
    found = words(Summary(NOT_BLESSED, blessing=blessing, **FIGURES))

    assert found["decided"] == "refused: accuracy 0.9 is not >= 0.96"
    assert found["pushed"] == "nothing; the serving directory is as it was"
    assert "try" not in found


def test_summary_when_there_are_no_figures_then_has_no_line_for_them() -> None:
    assert words(Summary(FAILED, run_id="1", run_dir="/out", seconds=1.0)) == {
        "took": "1.0 s; log /out/run.log"
    }


def test_summary_when_tf_lite_was_exported_then_gives_the_sizes_and_every_refusal() -> None:
    variants = {
        "float32": {"size": 648600, "refusal": None},
        "float16": {"size": 328400, "refusal": None},
        "int8": {"size": 170800, "refusal": "agreement of class_id 0.9000 < 0.97"},
    }
    summary = Summary(PUSHED, lite={"folder": "/out/27", "variants": variants}, **FIGURES)

    lines = summary_lines(summary, "tapeline predict M")
    assert [line for line in lines if line.startswith("tflite")] == [
        "tflite     float32 649 KB, float16 328 KB in /out/27",
        "tflite     int8 refused: agreement of class_id 0.9000 < 0.97",
    ]
