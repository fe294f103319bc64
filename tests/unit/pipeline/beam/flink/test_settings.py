"""Flink's settings: what TFX's jobs need, and that the parts fit together."""

from __future__ import annotations

from components.batched import BATCH_BYTES
from pipeline.beam.flink.settings import (
    JOB_MANAGER_HEAP_MIB,
    JOB_SERVER_HEAP_MIB,
    SETTINGS,
    SLOTS,
    TASK_MANAGER_MIB,
    TASK_MANAGERS,
    conf_text,
    task_manager_command,
)


def _mib(name: str) -> int:
    return int(SETTINGS[name].removesuffix("m"))


def test_memory_of_java_is_what_flink_is_told():
    """Without Flink's scripts nobody else holds the two together."""
    command = task_manager_command("java", "jars", "conf", {})
    heap = _mib("taskmanager.memory.task.heap.size")
    heap += _mib("taskmanager.memory.framework.heap.size")
    direct = _mib("taskmanager.memory.network.max")
    direct += _mib("taskmanager.memory.framework.off-heap.size")
    direct += _mib("taskmanager.memory.task.off-heap.size")
    assert {f"-Xms{heap}m", f"-Xmx{heap}m"} < set(command)
    assert f"-XX:MaxDirectMemorySize={direct}m" in command
    metaspace = _mib("taskmanager.memory.jvm-metaspace.size")
    assert f"-XX:MaxMetaspaceSize={metaspace}m" in command
    rest = _mib("taskmanager.memory.managed.size") + _mib("taskmanager.memory.jvm-overhead.max")
    assert heap + direct + metaspace + rest == TASK_MANAGER_MIB


def test_memory_that_is_a_range_elsewhere_is_a_number():
    """A TaskManager that is started by hand refuses ranges."""
    for name in ("taskmanager.memory.network", "taskmanager.memory.jvm-overhead"):
        assert SETTINGS[f"{name}.min"] == SETTINGS[f"{name}.max"]
    assert not any("process.size" in name for name in SETTINGS)


def test_memory_off_the_heap_holds_what_beam_sends_before_it_waits():
    """Beam's DirectStreamObserver looks every hundred messages whether the worker keeps up.

    A message is sent once it has a megabyte; rows take up to twice the room as columns.
    """
    sent = 100 * (1_000_000 + 2 * BATCH_BYTES)
    assert _mib("taskmanager.memory.task.off-heap.size") * 2**20 > 1.25 * sent


def test_cluster_takes_less_than_eight_gib():
    """Without the Python workers, which are two of about 0.75 GiB while a job runs."""
    java = TASK_MANAGERS * TASK_MANAGER_MIB + JOB_MANAGER_HEAP_MIB + JOB_SERVER_HEAP_MIB
    assert java < 8 * 1024


def test_one_task_manager_has_room_for_a_job_of_the_default_parallelism():
    from pipeline.beam.config import FlinkConfig

    assert FlinkConfig(engine="flink").parallelism <= SLOTS


def test_conf_is_one_setting_a_line():
    assert conf_text({"a.b": "1 s", "c": "2"}) == "a.b: 1 s\nc: 2\n"
