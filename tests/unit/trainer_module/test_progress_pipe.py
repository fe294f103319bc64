"""Events of one process reach the listeners of another."""

from __future__ import annotations

import logging
import os

import pytest

from trainer_module.progress import LOGGER_NAME
from trainer_module.progress_pipe import PipeHandler, PipeReader


def _record(**event: object) -> logging.LogRecord:
    record = logging.LogRecord(LOGGER_NAME, logging.INFO, __file__, 1, "text", None, None)
    record.event = event
    return record


@pytest.fixture
def ends() -> tuple[int, int]:
    return os.pipe()


def test_reader_when_events_were_written_then_emits_them_in_order(ends, caplog):
    reading, writing = ends
    handler, reader = PipeHandler(writing), PipeReader(reading)
    handler.emit(_record(kind="train_step", step=1, values={"loss": 0.5}))
    handler.emit(_record(kind="train_step", step=2, values={"loss": 0.25}))
    with caplog.at_level(logging.INFO, LOGGER_NAME):
        reader.relay()
    assert [record.event["step"] for record in caplog.records] == [1, 2]
    assert reader.last["train_step"]["values"] == {"loss": 0.25}


def test_reader_when_a_line_comes_in_two_parts_then_waits_for_the_second(ends, caplog):
    reading, writing = ends
    reader = PipeReader(reading)
    os.write(writing, b'{"kind": "epoch')
    with caplog.at_level(logging.INFO, LOGGER_NAME):
        reader.relay()
        assert not caplog.records
        os.write(writing, b'_end", "epoch": 1}\n')
        os.close(writing)
        reader.close()
    assert [record.event for record in caplog.records] == [{"kind": "epoch_end", "epoch": 1}]


def test_reader_when_a_kind_is_kept_then_remembers_it_and_emits_it_not(ends, caplog):
    reading, writing = ends
    reader = PipeReader(reading, kept=("result",))
    PipeHandler(writing).emit(_record(kind="result", best_step=10))
    with caplog.at_level(logging.INFO, LOGGER_NAME):
        reader.relay()
    assert not caplog.records
    assert reader.last["result"]["best_step"] == 10


def test_handler_when_nobody_reads_any_more_then_drops_the_event(ends):
    reading, writing = ends
    os.close(reading)
    PipeHandler(writing).emit(_record(kind="train_step", step=1))
    os.close(writing)
