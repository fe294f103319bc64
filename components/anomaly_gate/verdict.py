"""What the gate says of data: all that was found, and who took it as it is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.anomaly_gate.config import STOP, WARN
from components.anomaly_gate.distances import Distance
from components.anomaly_gate.findings import Finding, Statistics, common
from components.json_values import finite
from serving.atomic_files import replace_text

VERDICT_FILE = "verdict.json"
ACCEPTANCE_FILE = "acceptance.json"
"""In the run's folder, before the run: who accepts what the gate will find, and why."""


@dataclasses.dataclass(frozen=True)
class Acceptance:
    """That someone took anomalies as they are.

    Attributes:
        by: user and machine.
        why: in their words.
        at: when, in ISO 8601.
        run_id: of the run that they told so.
    """

    by: str
    why: str
    at: str
    run_id: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """On one set of statistics.

    Attributes:
        distances: from the previous data, as measured, whatever the thresholds.
        reference: where the previous data's statistics are; None if there are none.
        digest: of the statistics and of what stops; an acceptance is of one digest.
        acceptance: of what stops; None if nothing does, or nobody accepted it.
    """

    findings: Sequence[Finding]
    distances: Sequence[Distance]
    reference: str | None
    digest: str
    acceptance: Acceptance | None = None

    @property
    def stops(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == STOP]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == WARN]

    def to_json(self) -> dict[str, Any]:
        """Returns the verdict as JSON has it."""
        values: dict[str, Any] = json.loads(
            json.dumps(finite(dataclasses.asdict(self)), allow_nan=False)
        )
        return values

    def write(self, folder: Path) -> None:
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        replace_text(folder / VERDICT_FILE, text)


class AnomaliesFound(Exception):
    """Data that are not to be trained on.

    Attributes:
        verdict: as JSON; None where the error was made again from its text.
    """

    def __init__(self, text: str, verdict: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.verdict = verdict

    @classmethod
    def of(cls, verdict: Verdict) -> AnomaliesFound:
        """Returns the error that names feature and rule of all that stops."""
        named = ", ".join(f"{found.feature}: {found.rule}" for found in verdict.stops)
        count = len(verdict.stops)
        text = f"{count} anomal{'y stops' if count == 1 else 'ies stop'} the run: {named}"
        return cls(text, verdict.to_json())


def digest_of(statistics: Statistics, findings: Sequence[Finding]) -> str:
    """Returns a hash of what the data are, by their statistics, and of what stops them.

    Figures count to six digits, so that the same data have the same hash on every engine.
    """
    lines = []
    for split in sorted(statistics):
        dataset = statistics[split].datasets[0]
        lines.append(f"{split} {dataset.num_examples}")
        for feature in dataset.features:
            shared = common(feature)
            number, text = feature.num_stats, feature.string_stats
            figures = (number.mean, number.std_dev, number.min, number.max, text.avg_length)
            counts = (feature.type, shared.num_non_missing, shared.tot_num_values, text.unique)
            name = ".".join(feature.path.step) or feature.name
            lines.append(f"{name} {counts} {' '.join(f'{figure:.6g}' for figure in figures)}")
    lines += [
        f"{found.feature} {found.kind} {found.against} {found.expected} {found.found}"
        for found in findings
        if found.level == STOP
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def read_acceptance(folder: Path) -> Acceptance | None:
    """Returns the acceptance that a run's folder holds; None if it has none."""
    path = folder / ACCEPTANCE_FILE
    if not path.is_file():
        return None
    return Acceptance(**json.loads(path.read_text(encoding="utf-8")))


def write_acceptance(folder: Path, acceptance: Acceptance) -> None:
    text = json.dumps(dataclasses.asdict(acceptance), ensure_ascii=False) + "\n"
    replace_text(folder / ACCEPTANCE_FILE, text)


def earlier_acceptance(verdicts: Path, digest: str) -> Acceptance | None:
    """Returns the latest acceptance of the same findings in the same data; None if there is none.

    Args:
        verdicts: the folder of the gate's outputs, a folder for each execution that went well.
    """
    found = []
    for path in verdicts.glob(f"*/{VERDICT_FILE}"):
        verdict = json.loads(path.read_text(encoding="utf-8"))
        if verdict["digest"] == digest and verdict["acceptance"]:
            found.append(Acceptance(**verdict["acceptance"]))
    return max(found, key=lambda acceptance: acceptance.at, default=None)
