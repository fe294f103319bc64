"""The account of a reading: how many rows came, where each went, and what was wrong with the bad.

It lies beside the examples as `intake.json`, and the bad rows themselves in `quarantine/`, so that
what the cache gives back brings its account along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from components.example_gen.config import SPLITS
from components.example_gen.source import BadRow, Batch, DataError

FILE_NAME = "intake.json"
QUARANTINE = "quarantine"
"""Folder of JSON lines, one a bad row, in the folder of the examples."""

SHOWN = 10
"""How many bad rows a message shows."""


@dataclass(frozen=True)
class Intake:
    """What became of the rows of one piece, or of all.

    Attributes:
        splits: good rows by split.
        bad: how many were bad.
        first_bad: the first of them, as text.
        bytes: of the good rows as tf.Examples.
    """

    splits: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    bad: int = 0
    first_bad: Sequence[str] = ()
    bytes: int = 0

    @property
    def rows(self) -> int:
        """All rows that were read, good and bad."""
        return sum(self.splits.values()) + self.bad

    @classmethod
    def of(cls, batch: Batch) -> Intake:
        """Returns the account of one batch."""
        splits = {split: int((batch.splits == n).sum()) for n, split in enumerate(SPLITS)}
        shown = [str(row) for row in batch.bad[:SHOWN]]
        return cls(splits, len(batch.bad), shown, sum(map(len, batch.serialized)))

    @classmethod
    def merge(cls, parts: Sequence[Intake]) -> Intake:
        """Returns the account of all pieces from those of each, in the pieces' order."""
        return cls(
            {split: sum(part.splits[split] for part in parts) for split in SPLITS},
            sum(part.bad for part in parts),
            [text for part in parts for text in part.first_bad][:SHOWN],
            sum(part.bytes for part in parts),
        )

    def check(self, policy: str, max_fraction: float, where: str) -> None:
        """Holds the account to the policy for bad rows.

        Args:
            where: the data, for the message.

        Raises:
            DataError: if there are bad rows that the policy does not allow, or a split has no rows.
        """
        self.check_bad(policy, max_fraction, where)
        empty = [split for split, rows in self.splits.items() if rows == 0]
        if empty:
            found = f"no rows in split {empty[0]!r} of {self.rows} rows"
            raise DataError.at(where, found, "a row or more in each split")

    def check_bad(self, policy: str, max_fraction: float, where: str) -> None:
        """Holds the bad rows alone to the policy; see `check`."""
        if self.bad and policy == "fail":
            self._refuse(where, "none, since data.bad_rows is fail; quarantine puts them aside")
        if self.bad > max_fraction * self.rows:
            found = f"at most {max_fraction:.2%}, as data.max_bad_fraction says"
            self._refuse(where, found)

    def _refuse(self, where: str, allowed: str) -> None:
        more = self.bad - len(self.first_bad)
        lines = [
            f"{where}: {self.bad} of {self.rows} rows are bad; allowed: {allowed}",
            *(f"  {text}" for text in self.first_bad),
            *([f"  and {more} more"] if more else []),
        ]
        raise DataError("\n".join(lines))


def write_part(folder: str, number: int, part: Intake) -> None:
    """Writes the account of one piece, for `collect`."""
    from tensorflow.io import gfile

    path = os.path.join(folder, f"part-{number:05d}.json")
    with gfile.GFile(f"{path}.partial", "w") as file:
        file.write(json.dumps(asdict(part)))
    gfile.rename(f"{path}.partial", path, overwrite=True)


def collect(folder: str, examples_uri: str) -> Intake:
    """Merges the accounts of all pieces into that of the examples, and takes them away."""
    from tensorflow.io import gfile

    parts = []
    for path in sorted(gfile.glob(os.path.join(folder, "part-*.json"))):
        with gfile.GFile(path) as file:
            parts.append(Intake(**json.load(file)))
    whole = Intake.merge(parts)
    path = os.path.join(examples_uri, FILE_NAME)
    with gfile.GFile(f"{path}.partial", "w") as file:
        file.write(json.dumps(asdict(whole)))
    gfile.rename(f"{path}.partial", path, overwrite=True)
    gfile.rmtree(folder)
    return whole


def read_intake(examples_uri: str) -> Intake | None:
    """Returns the account that lies beside examples; None if there is none."""
    from tensorflow.io import gfile

    path = os.path.join(examples_uri, FILE_NAME)
    if not gfile.exists(path):
        return None
    with gfile.GFile(path) as file:
        return Intake(**json.load(file))


def quarantine_line(row: BadRow) -> str:
    """Returns a bad row as a line of JSON."""
    found: dict[str, Any] = row._asdict()
    return json.dumps(found, ensure_ascii=False)
