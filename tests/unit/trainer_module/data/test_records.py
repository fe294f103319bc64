"""Files that are damaged: told before training, with their names, however the rows are kept."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

import trainer_module  # noqa: F401  (before TensorFlow: it chooses the Keras)

import tensorflow as tf  # isort: skip


@pytest.fixture(params=["memory", "file", "none"])
def cache(request):
    return request.param


@pytest.fixture
def files(numbered) -> list[Path]:
    patterns = numbered(60)
    return sorted(Path(patterns[0]).parent.iterdir())


def _patterns(files: list[Path]) -> list[str]:
    return [str(files[0].parent / "data-*")]


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_open_when_a_file_is_cut_short_then_names_it(cache, kept, files, opened):
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ValueError, match=rf"{files[1]}: damaged or cut short"):
        opened(_patterns(files), cache)


def test_open_when_a_file_is_cut_between_two_records_then_names_it(cache, files, opened, tmp_path):
    plain = gzip.decompress(files[1].read_bytes())
    record = 8 + 4 + int.from_bytes(plain[:8], "little") + 4
    compressor = zlib.compressobj(wbits=31)
    first = compressor.compress(plain[: 3 * record]) + compressor.flush(zlib.Z_FULL_FLUSH)
    files[1].write_bytes(first)
    readable = tf.data.TFRecordDataset(str(files[1]), "GZIP")
    assert sum(1 for _ in readable) == 3, "TensorFlow takes it for a shorter file"
    with pytest.raises(ValueError, match=rf"{files[1]}: damaged or cut short"):
        opened(_patterns(files), cache)


@pytest.mark.parametrize("content", [b"", b"not a gzip file, but long enough to be one"])
def test_open_when_a_file_is_no_gzip_then_names_it(cache, content, files, opened):
    files[2].write_bytes(content)
    with pytest.raises(ValueError, match=rf"{files[2]}: "):
        opened(_patterns(files), cache)


def test_open_when_a_record_lacks_a_feature_then_names_the_file(cache, files, opened):
    with tf.io.TFRecordWriter(
        str(files[0]), tf.io.TFRecordOptions(compression_type="GZIP")
    ) as writer:
        writer.write(tf.train.Example().SerializeToString())
    with pytest.raises(ValueError, match=rf"{files[0]}: not examples of \['id', 'image'\]"):
        opened(_patterns(files), cache)


def test_open_when_a_file_is_of_several_gzip_members_then_reads_them_all(cache, files, opened):
    files[0].write_bytes(files[0].read_bytes() + files[1].read_bytes())
    files[1].unlink()
    assert opened(_patterns(files), cache).rows == 60


def test_open_when_a_file_matches_two_patterns_then_counts_it_once(cache, files, opened):
    assert opened([*_patterns(files), str(files[0])], cache).rows == 60


def test_open_when_there_are_no_rows_then_names_the_files(cache, write, opened):
    with pytest.raises(ValueError, match=r"no rows in .*empty"):
        opened(write("empty", [], files=2), cache)
    with pytest.raises(ValueError, match=r"no rows in .*nowhere.*no file matches"):
        opened(["/nowhere/data-*"], cache)


@pytest.mark.parametrize("feature", [tf.io.VarLenFeature(tf.int64), tf.io.RaggedFeature(tf.int64)])
def test_open_when_a_feature_is_not_of_fixed_length_then_names_it(
    cache, feature, files, opened, numbered_spec
):
    numbered_spec["id"] = feature
    with pytest.raises(ValueError, match=f"'id': found {type(feature).__name__}"):
        opened(_patterns(files), cache, spec=numbered_spec)
