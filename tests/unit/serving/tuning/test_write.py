"""Tuned parameters go where servers look for them."""

from __future__ import annotations

import pytest

from serving.config import BatchingConfig
from serving.text_configs import parse_batching
from serving.tuning import write as module
from serving.tuning.write import write_parameters

CONFIG = BatchingConfig(
    max_batch_size=32,
    allowed_batch_sizes=[1, 32],
    batch_timeout_micros=700,
    num_batch_threads=1,
    max_enqueued_batches=9,
)


def test_write_in_a_serving_directory_then_the_version_and_the_server_have_them(
    tmp_path, write_serving_root
):
    root = write_serving_root(tmp_path / "serving")
    before = (root / "models.config").read_text()
    version = root / "digits" / "3"
    written = write_parameters(version, CONFIG)
    assert written == [version / "batching_params.pbtxt", root / "batching.config"]
    assert [parse_batching(path.read_text()) for path in written] == [CONFIG, CONFIG]
    assert (root / "models.config").read_text() == before
    assert {path.name for path in version.iterdir()} == {"batching_params.pbtxt"}


def test_write_when_no_server_is_started_with_the_folder_then_the_version_alone_has_them(tmp_path):
    version = tmp_path / "m" / "1"
    version.mkdir(parents=True)
    assert write_parameters(version, CONFIG) == [version / "batching_params.pbtxt"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_write_when_the_disk_is_full_then_the_files_stay_as_they_were(
    tmp_path, write_serving_root, monkeypatch
):
    root = write_serving_root(tmp_path / "serving")
    before = {path.name: path.read_text() for path in root.glob("*.config")}

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "set_batching", full)
    with pytest.raises(OSError, match="No space"):
        write_parameters(root / "digits" / "3", CONFIG)
    assert {path.name: path.read_text() for path in root.glob("*.config")} == before
