"""What a person is told of a fault, in whichever form it comes."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest

from components.example_gen.source import DataError
from pipeline.config_file import load_config
from pipeline.metadata.errors import MetadataError
from pipeline.runners.causes import cause_of, one_line
from trainer_module.cluster import WorkerDied


@pytest.fixture
def config(repository, tmp_path):
    path = str(repository / "configs" / "digits.yaml")
    return load_config(path, [f"root={tmp_path / 'runs'}"])


def _raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as raised:
        return raised


def _tensorflow(name: str, text: str) -> Exception:
    from tensorflow.python.framework import errors_impl

    return getattr(errors_impl, name)(None, None, text)


def _full(path: str) -> list[Exception]:
    from ml_metadata import errors

    return [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path),
        # As Beam makes it again: of its text alone.
        OSError(f"[Errno 28] No space left on device: '{path}' [while running 'Write']"),
        RuntimeError(f"Traceback (most recent call last):\n  File x\n"
                     f"OSError: [Errno 28] No space left on device: '{path}'"),
        _tensorflow("ResourceExhaustedError", f"{path}; No space left on device"),
        errors.InternalError("Error when executing query: database or disk is full query: INSERT"),
    ]  # fmt: skip


def test_full_disk_when_told_in_any_form_then_names_the_disk_and_what_is_left(config, tmp_path):
    path = str(tmp_path / "runs" / "digits" / "artifacts" / "part-0")
    for error in _full(path):
        cause = cause_of(error, config)
        assert cause.startswith("disk full: /"), (error, cause)
        assert " MB left of " in cause
        assert cause.endswith(": free some")
        assert str(tmp_path) in cause, (error, cause)


def test_full_disk_when_what_tells_of_it_fails_too_then_is_the_cause(config, tmp_path):
    from ml_metadata import errors

    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "part-0"))
        except OSError:
            raise errors.InternalError("attempt to write a readonly database")  # noqa: B904
    except errors.InternalError as error:
        assert cause_of(error, config).startswith("disk full: ")


def test_full_disk_when_it_is_the_database_servers_then_is_not_called_this_machines(
    config, repository
):
    from ml_metadata import errors

    server = load_config(
        str(repository / "configs" / "digits.yaml"),
        ["metadata={backend: postgresql, host: db, database: m, user: u, password_env: P}"],
    )
    said = 'could not extend file "base/1": No space left on device'
    cause = cause_of(errors.InternalError(f"PostgreSQL error: ERROR: {said}"), server)
    assert cause.startswith("metadata")
    assert "No space left on device" in cause


def test_full_disk_when_a_quota_is_used_up_then_says_so(config):
    error = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/home/a/part-0")
    assert "quota" in cause_of(error, config)
    assert "/home/a/part-0" in cause_of(error, config)


def test_temporary_folder_when_there_is_none_then_names_tmpdir(config):
    error = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    assert "'/tmp': free some, or set TMPDIR" in cause_of(error, config)


def test_read_only_file_system_when_written_then_names_the_path(config):
    path = "/mnt/x/artifacts/Transform"
    for error in (
        OSError(errno.EROFS, os.strerror(errno.EROFS), path),
        _tensorflow("FailedPreconditionError", f"{path}; Read-only file system"),
    ):
        assert cause_of(error, config).startswith(f"read-only: {path}, ")


def test_rights_when_they_lack_then_names_the_path(config, tmp_path):
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "part-0"
    for error in (
        PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)),
        _tensorflow("PermissionDeniedError", f"{path}; Permission denied"),
    ):
        assert cause_of(error, config) == (
            f"no permission: {path} cannot be written by this user: mend its rights"
        )


def _gone(path) -> list[Exception]:
    return [
        FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)),
        _tensorflow("NotFoundError", f"{path}; No such file or directory"),
    ]


def test_input_when_it_is_gone_in_mid_run_then_names_the_file_and_the_key(repository, tmp_path):
    (tmp_path / "day.csv").write_text("a,b\n1,2\n")
    config = load_config(
        str(repository / "configs" / "digits.yaml"),
        [f"data={{source: csv, path: {tmp_path}/*.csv, label: b}}", f"root={tmp_path}/runs"],
    )
    path = tmp_path / "gone.csv"
    for error in _gone(path):
        assert cause_of(error, config) == f"missing: {path} (data.path): put it back"


def test_artifact_when_a_part_of_it_is_gone_then_says_what_to_remove(config):
    folder = config.pipeline_root / "artifacts" / "Transform" / "transform_graph" / "6"
    path = folder / "saved_model.pb"
    for error in _gone(path):
        assert cause_of(error, config) == (
            f"missing: {path}, which Transform had made: the same run makes it again"
        )
    folder.mkdir(parents=True)
    for error in _gone(path):
        assert f"remove {folder}, and the same run makes all of it again" in cause_of(error, config)


def test_file_when_no_key_is_of_it_then_is_told_as_it_is(config):
    assert cause_of(_gone("/elsewhere/x")[0], config) == (
        "FileNotFoundError: [Errno 2] No such file or directory: '/elsewhere/x'"
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("std::bad_alloc"),
        RuntimeError("Traceback (most recent call last):\n  File x\nnumpy.MemoryError: of 8 GiB"),
    ],
)
def test_memory_when_there_is_no_more_then_says_how_much_there_is_and_what_takes_less(
    error, config
):
    cause = cause_of(error, config)
    assert cause.startswith(("out of memory (this machine has ", "out of memory (this container "))
    assert "a smaller train.batch_size, or fewer beam.workers" in cause


def test_memory_when_it_is_the_gpus_then_does_not_tell_the_machines(config):
    text = "OOM when allocating tensor with shape[9] on /job:localhost/task:0/device:GPU:0"
    cause = cause_of(_tensorflow("ResourceExhaustedError", text), config)
    assert cause.startswith("out of memory (the GPU has no more): ")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Worker subprocess exited with return code -9"),
        RuntimeError("job failed\nRuntimeError: a worker of Beam was killed before it answered"),
        WorkerDied("worker 1 was killed by SIGKILL; its log is /x/worker-1.log and ends with\n"),
        subprocess.CalledProcessError(-9, ["python"]),
    ],
)
def test_process_when_killed_then_is_most_likely_for_memory(error, config):
    cause = cause_of(error, config)
    assert cause.startswith("a process was killed, most likely for want of memory (this ")
    assert str(error).splitlines()[0] in cause


def test_pickle_when_beam_cannot_make_one_then_says_of_what_and_what_can_be(config):
    from apache_beam.internal import pickler

    rows = (row for row in ())
    with pytest.raises(Exception, match="pickle") as raised:
        pickler.dumps(lambda: rows)
    cause = cause_of(raised.value, config)
    assert cause.startswith("not to be pickled: ")
    assert "generator object" in cause
    assert "dotted path" in cause


def test_pickle_when_a_worker_lacks_the_module_then_says_so(config):
    text = (
        "Traceback (most recent call last):\n  File dill_pickler.py, in loads, unpickle\n"
        "ModuleNotFoundError: No module named 'own_task'\n"
    )
    cause = cause_of(RuntimeError(text), config)
    assert cause.startswith("not to be pickled: ModuleNotFoundError: No module named 'own_task'; ")


def test_module_when_missing_outside_of_a_pickle_then_is_told_as_it_is(config):
    error = ModuleNotFoundError("No module named 'own_task'")
    assert cause_of(error, config) == "ModuleNotFoundError: No module named 'own_task'"


def test_error_when_it_is_no_fault_of_the_machine_then_keeps_its_type_and_text(config):
    inner = ZeroDivisionError("division by zero\nmore")
    assert cause_of(_raised(RuntimeError("outer"), inner), config) == (
        "ZeroDivisionError: division by zero"
    )
    assert cause_of(DataError("two\nlines"), config) == "two\nlines"
    known = MetadataError("metadata", "x", "y")
    assert cause_of(_raised(RuntimeError("outer"), known), config) == str(known)


def test_one_line_when_the_text_is_a_traceback_then_is_its_end():
    assert one_line(ValueError("in user code:\n\n  File x\n\n  ValueError: shapes")) == (
        "ValueError: ValueError: shapes"
    )
    worker = RuntimeError("Traceback (most recent call last):\n  File x\nKeyError: 'a'\n")
    assert one_line(worker) == "RuntimeError: KeyError: 'a'"
    assert one_line(ValueError("x" * 400)).endswith("...")
