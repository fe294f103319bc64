"""The folder of accepted data: a numbered record for each, with its statistics and its schema.

    <folder>/<number>/record.json  <folder>/<number>/statistics/  <folder>/<number>/schema/

A record is made under a hidden name and renamed: it is there whole, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from components.anomaly_gate.strategy import nearness
from serving.version_folders import content_digest

_FILE = "record.json"
_STATISTICS, _SCHEMA = "statistics", "schema"


@dataclass(frozen=True)
class Record:
    """Data that the gate let through.

    Attributes:
        span: of the data; 0 for data without spans.
        split_names: of the statistics, as TFX encodes them.
        statistics, schema: hashes of their contents.
    """

    span: int
    split_names: str
    statistics: str
    schema: str


@dataclass(frozen=True)
class Found:
    """A record in its folder; a greater number was made later."""

    number: int
    record: Record
    folder: Path

    @property
    def statistics(self) -> Path:
        return self.folder / _STATISTICS

    @property
    def schema(self) -> Path:
        return self.folder / _SCHEMA


def scope_folder(folder: Path, scope: str) -> Path:
    """Returns the folder of the records of a scope: only data of the same scope are compared."""
    return folder / hashlib.sha256(scope.encode()).hexdigest()[:16]


def read_records(folder: Path) -> list[Found]:
    """Returns the records, the oldest first."""
    if not folder.is_dir():
        return []
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())
    return [
        Found(number, Record(**json.loads((path / _FILE).read_text("utf-8"))), path)
        for number, path in ((number, folder / str(number)) for number in numbers)
    ]


def write_record(folder: Path, statistics: Path, schema: Path, span: int, split_names: str) -> None:
    """Adds a record, unless the same data are recorded already.

    Args:
        folder: of the scope.
        statistics, schema: folders that are copied.
        span, split_names: of the statistics.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = Record(span, split_names, content_digest(statistics), content_digest(schema))
    known = read_records(folder)
    if record in [found.record for found in known]:
        return
    staged = Path(tempfile.mkdtemp(prefix=".record-", dir=folder))
    try:
        shutil.copytree(statistics, staged / _STATISTICS)
        shutil.copytree(schema, staged / _SCHEMA)
        (staged / _FILE).write_text(json.dumps(asdict(record)) + "\n", "utf-8")
        staged.chmod(0o755)  # else only for who ran this node
        staged.rename(folder / str(known[-1].number + 1 if known else 1))
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def previous(folder: Path, statistics: Path, span: int) -> Found | None:
    """Returns the record that data are held to; None for the first ones.

    Chooses as `AcceptedDataStrategy` does among artifacts: what was recorded after the data
    themselves does not count.

    Args:
        folder: of the scope.
        statistics, span: of the data.
    """
    records = read_records(folder)
    digest = content_digest(statistics)
    own = [
        found.number
        for found in records
        if (found.record.span, found.record.statistics) == (span, digest)
    ]
    return max(
        (found for found in records if not own or found.number < own[0]),
        key=lambda found: (*nearness(found.record.span, span), found.number),
        default=None,
    )
