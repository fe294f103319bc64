"""Tables on the disk in each format, and what is read of them."""

from __future__ import annotations

import pytest

from components.example_gen.config import SPLITS, CsvConfig, ParquetConfig, TFRecordConfig
from components.example_gen.sources import make_source

CONFIGS = {"csv": CsvConfig, "parquet": ParquetConfig, "tfrecord": TFRecordConfig}


@pytest.fixture
def write(tmp_path):
    """Writes a file, text in UTF-8 or bytes; returns its path."""

    def write(content, name="data.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def table():
    """Makes the source of a path: `table(path, label="y", splits={...}, label_values=[...])`."""

    def make(path, source="csv", label="y", label_values=None, **keys):
        config = CONFIGS[source](source=source, path=str(path), label=label, **keys)
        return make_source(config, label_values)

    return make


@pytest.fixture
def read():
    """Reads a source: its good rows by split, as dicts of lists, and its bad rows."""
    import tensorflow as tf

    def read(source):
        source.check()
        pieces = source.pieces()
        survey = source.merge([source.survey(piece) for piece in pieces])
        rows, bad = {split: [] for split in SPLITS}, []
        for piece in pieces:
            for batch in source.read(piece, survey):
                for serialized, split in zip(batch.serialized, batch.splits, strict=True):
                    example = tf.train.Example.FromString(serialized)
                    rows[SPLITS[split]].append(
                        {
                            name: list(getattr(feature, feature.WhichOneof("kind")).value)
                            for name, feature in sorted(example.features.feature.items())
                            if feature.WhichOneof("kind")
                        }
                    )
                bad += batch.bad
        return rows, bad

    return read


@pytest.fixture
def good(read):
    """Reads the good rows of a source, of all splits, in an order of their own."""

    def good(source):
        rows, bad = read(source)
        assert not bad
        return sorted((row for split in rows.values() for row in split), key=str)

    return good
