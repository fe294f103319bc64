"""Spans of small data, their real statistics, and the gate that they go to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

SPLITS = {"train": 0.7, "eval": 0.15, "test": 0.15}


@dataclass(frozen=True)
class Span:
    """Data that went through the gate: their artifacts, and what the gate said."""

    statistics: Any
    schema: Any
    output: Any
    verdict: dict[str, Any]

    def found(self, level: str | None = None) -> list[tuple[str, str]]:
        """Returns feature and rule of what was found, of one level or of all."""
        return [
            (finding["feature"], finding["rule"])
            for finding in self.verdict["findings"]
            if level in (None, finding["level"])
        ]


@pytest.fixture(scope="session")
def rows():
    """Draws a span: numbers of several kinds, a category, an identifier and a label."""

    def draw(seed: int = 0, count: int = 1000, **columns: Any) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        return pd.DataFrame(
            {
                "size": random.normal(0, 1, count),
                "fare": np.exp(random.normal(0, 2, count)),
                "hour": random.integers(0, 24, count),
                "payment": random.choice(["card", "cash"], count),
                "key": [f"{seed}-{index}" for index in range(count)],
                "tipped": random.integers(0, 2, count),
            }
        ).assign(**columns)

    return draw


@pytest.fixture(scope="session")
def statistics_of():
    import tensorflow_data_validation as tfdv

    return tfdv.generate_statistics_from_dataframe


class Gate:
    """Brings data as far as a pipeline does, each artifact by TFX's own names, and runs the gate.

    Attributes:
        run_folders: of the runs; the n-th call of `run` is run `n`.
        verdicts: of the gate's outputs.
    """

    def __init__(self, root: Path, statistics_of: Any) -> None:
        self.run_folders, self.verdicts = root / "runs", root / "AnomalyGate" / "verdict"
        self._root, self._statistics_of = root, statistics_of
        self._next_id, self._runs = 1, 0

    def run(
        self,
        data: pd.DataFrame | Mapping[str, pd.DataFrame],
        previous: Span | None = None,
        validate: Mapping[str, Any] | None = None,
        reviewed: Any = None,
        why: str | None = None,
        features: Mapping[str, Any] | None = None,
        columns: Sequence[str] | None = None,
        knows_run: bool = True,
    ) -> Span:
        """Returns what went through.

        Args:
            data: all rows, or those of each split.
            reviewed: the schema of a file; None infers it.
            why: accepts what the gate finds.
            features: what the tabular task reads, as its options.
            columns: that are read, by the task or for slices; None: all.
            knows_run: False as on Kubeflow, which tells an executor nothing of the run.

        Raises:
            AnomaliesFound: if it did not.
        """
        import tensorflow_data_validation as tfdv
        from tfx.components.example_validator.executor import Executor as ExampleValidator
        from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
        from tfx.types import artifact_utils, standard_artifacts

        from components.anomaly_gate.config import ValidateConfig
        from components.anomaly_gate.executor import Executor
        from components.anomaly_gate.strategy import GateVerdict
        from components.anomaly_gate.verdict import Acceptance, write_acceptance

        statistics = self._artifact(standard_artifacts.ExampleStatistics)
        schema = self._artifact(standard_artifacts.Schema)
        anomalies = self._artifact(standard_artifacts.ExampleAnomalies)
        output = self._artifact(GateVerdict, self.verdicts)
        statistics.split_names = artifact_utils.encode_split_names(list(SPLITS))
        for split, part in (data if isinstance(data, Mapping) else _splits(data)).items():
            found = self._statistics_of(part)
            folder = Path(statistics.uri, f"Split-{split}")
            folder.mkdir()
            (folder / "FeatureStats.pb").write_bytes(found.SerializeToString())
            if split == "train":
                inferred = reviewed or tfdv.infer_schema(found)
                tfdv.write_schema_text(inferred, str(Path(schema.uri, "schema.pbtxt")))
        inputs = {"statistics": [statistics], "schema": [schema]}
        ExampleValidator().Do(inputs, {"anomalies": [anomalies]}, {"exclude_splits": "[]"})

        self._runs += 1
        run_id = str(self._runs)
        (self.run_folders / run_id).mkdir(parents=True)
        if why is not None:
            at = f"2026-01-01T00:00:{self._runs:02}+00:00"
            write_acceptance(self.run_folders / run_id, Acceptance("ada@lab", why, at, run_id))
        context = BaseBeamExecutor.Context(
            beam_pipeline_args=[],
            pipeline_run_id=run_id if knows_run else None,
            tmp_dir=str(self._root),
            unique_id="0",
        )
        Executor(context).Do(
            {
                **inputs,
                "anomalies": [anomalies],
                "previous_statistics": [previous.statistics] if previous else [],
                "previous_schema": [previous.schema] if previous else [],
            },
            {"verdict": [output]},
            {
                "validate": ValidateConfig.model_validate(validate or {}).model_dump_json(),
                "label": "tipped",
                "is_reviewed": int(reviewed is not None),
                "scope": "all",
                "task": json.dumps(
                    {
                        "name": "tabular",
                        "options": {
                            "options": {
                                "problem": "binary",
                                "classes": [0, 1],
                                "features": features or {"payment": {"kind": "categorical"}},
                            }
                        },
                        "columns": columns,
                    }
                ),
                "run_folders": str(self.run_folders),
                "logs": "",
                "code": "",
            },
        )
        verdict = json.loads(Path(output.uri, "verdict.json").read_text())
        return Span(statistics, schema, output, verdict)

    def stopped(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Returns the verdict on data that must not go through."""
        from components.anomaly_gate.verdict import AnomaliesFound

        with pytest.raises(AnomaliesFound) as raised:
            self.run(*arguments, **options)
        assert raised.value.verdict is not None
        return raised.value.verdict

    def _artifact(self, artifact_class: Any, folder: Path | None = None) -> Any:
        made = artifact_class()
        made.id = self._next_id
        self._next_id += 1
        place = (folder or self._root / artifact_class.TYPE_NAME) / str(made.id)
        place.mkdir(parents=True)
        made.uri = str(place)
        return made


@pytest.fixture
def gate(tmp_path, statistics_of) -> Gate:
    return Gate(tmp_path, statistics_of)


@pytest.fixture
def first(gate, rows) -> Span:
    """The first data, which go through."""
    return gate.run(rows(0))


def _splits(data: pd.DataFrame) -> dict[str, pd.DataFrame]:
    ends = (np.cumsum([0.0, *SPLITS.values()]) * len(data)).round().astype(int)
    return {
        split: data.iloc[first:last].reset_index(drop=True)
        for split, first, last in zip(SPLITS, ends[:-1], ends[1:], strict=True)
    }
