"""One process or several: by the data's size, the cores, and what the configuration says."""

from __future__ import annotations

import pytest

from pipeline.beam.config import DirectConfig
from pipeline.beam.running_mode import MANY_BYTES, files_bytes, running_mode


@pytest.mark.parametrize(
    ("direct", "data_bytes", "cores", "expected"),
    [
        ({}, 0, 64, "in_memory"),
        ({}, MANY_BYTES - 1, 64, "in_memory"),
        ({}, MANY_BYTES, 3, "multi_processing"),
        ({}, MANY_BYTES, 2, "in_memory"),
        ({"workers": 2}, MANY_BYTES, 64, "in_memory"),
        ({"workers": 4}, MANY_BYTES, 2, "multi_processing"),
        ({"running_mode": "in_memory"}, MANY_BYTES, 64, "in_memory"),
        ({"running_mode": "multi_processing"}, 0, 1, "multi_processing"),
    ],
)
def test_running_mode_goes_by_size_and_cores_unless_it_is_said(direct, data_bytes, cores, expected):
    assert running_mode(DirectConfig(**direct), data_bytes, cores) == expected


def test_files_bytes_counts_every_file_of_a_folder_and_nothing_of_what_is_not_there(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "1.csv").write_bytes(b"123")
    (tmp_path / "a" / "b" / "2.csv").write_bytes(b"4567")
    (tmp_path / "a" / "dangling").symlink_to(tmp_path / "none")

    assert files_bytes(str(tmp_path / "a")) == 7
    assert files_bytes(str(tmp_path / "a" / "1.csv")) == 3
    assert files_bytes(str(tmp_path / "none")) == 0
    assert files_bytes(None) == 0
