"""What every variant of an export is measured by: examples, and the SavedModel's own answers."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np

from serving.lite.comparison import Arrays, compare
from serving.lite.config import Variant
from serving.lite.conversion import convert
from serving.lite.examples import answers, batches, joined, read_examples, transform
from serving.lite.interpreter import LiteModel, float_tensors, latencies
from serving.lite.job import (
    RAW_SIGNATURE,
    SIGNATURE,
    TRANSFORM_SIGNATURE,
    Job,
    LiteExportFailed,
    Measurement,
    Setting,
)
from serving.lite.metadata import MetadataUnavailable, with_metadata
from serving.lite.metrics import measure
from serving.lite.normalization import find_normalizations
from serving.lite.tensors import describe
from serving.session import InvalidModel, SavedModelSession

_THREADS = (1, 2)
_LATENCY_SECONDS, _LATENCY_ROWS = 1.0, 500


class Bench:
    """The examples of a job and the SavedModel's answers, loaded once for all variants.

    Raises:
        LiteExportFailed: if the model lacks the signatures, or there are no examples.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        try:
            session = SavedModelSession(job.saved_model)
        except InvalidModel as error:
            raise LiteExportFailed(f"{job.saved_model}: {error}") from error
        missing = {SIGNATURE, TRANSFORM_SIGNATURE} - set(session.signatures)
        if missing:
            raise LiteExportFailed(
                f"no signature {' nor '.join(sorted(missing))} among "
                f"{', '.join(sorted(session.signatures))}"
            )
        self._names = sorted(session.signature(SIGNATURE).inputs)
        raw = read_examples(job.representative, job.config.representative_rows)
        self._representative = self._inputs(transform(session, raw))
        # Labels too, where the examples carry them.
        self._features = transform(session, read_examples(job.test, job.config.test_rows))
        self._test = self._inputs(self._features)
        self._expected = answers(session, SIGNATURE, self._test)
        raw_signature = session.signatures.get(RAW_SIGNATURE)
        self._normalizations = find_normalizations(
            raw_signature.inputs if raw_signature else {}, raw, self._representative
        )

    def setting(self) -> Setting:
        """Returns what all variants are held to."""
        return Setting(
            representative_rows=_rows(self._representative),
            test_rows=_rows(self._test),
            metrics=measure(self._job.metrics, self._expected, self._features),
        )

    def measure(self, variant: Variant, path: Path) -> Measurement:
        """Makes a variant at `path`, runs and measures it; what fails is told, not raised."""
        try:
            content = convert(self._job.saved_model, SIGNATURE, variant, self._representative)
        except Exception as error:  # the converter's are of many kinds
            return Measurement(variant=variant, failure=f"not converted: {_gist(error)}")
        floats = float_tensors(content) if variant == "int8" else []
        if floats:
            names = ", ".join(floats[:3]) + (", ..." if len(floats) > 3 else "")
            return Measurement(variant=variant, failure=f"not all in 8 bits: floats in {names}")
        try:
            content, without_metadata = self._described(variant, content)
            path.write_bytes(content)
            return self._run(variant, content, without_metadata)
        except Exception as error:  # as are the interpreter's
            return Measurement(variant=variant, failure=f"does not run: {_gist(error)}")

    def _described(self, variant: Variant, content: bytes) -> tuple[bytes, str | None]:
        """Returns the content with metadata; or without, and why."""
        model = LiteModel(content)
        description = describe(
            self._job,
            variant,
            model,
            self._representative,
            self._expected,
            self._normalizations,
        )
        try:
            return with_metadata(content, description), None
        except MetadataUnavailable as error:
            return content, str(error)

    def _run(self, variant: Variant, content: bytes, without_metadata: str | None) -> Measurement:
        model = LiteModel(content)
        found = joined([model.run(batch) for batch in batches(self._test)])
        row = {name: value[:1] for name, value in self._test.items()}
        return Measurement(
            variant=variant,
            size=len(content),
            comparison=compare(found, self._expected),
            metrics=measure(self._job.metrics, found, self._features),
            latency_ms={str(threads): _latency_ms(content, row, threads) for threads in _THREADS},
            without_metadata=without_metadata,
        )

    def _inputs(self, features: Arrays) -> dict[str, np.ndarray]:
        missing = [name for name in self._names if name not in features]
        if missing:
            raise LiteExportFailed(
                f"signature {SIGNATURE}: takes {', '.join(missing)}; {TRANSFORM_SIGNATURE} gives "
                f"{', '.join(sorted(features))}"
            )
        return {name: features[name] for name in self._names}


def _rows(inputs: Arrays) -> int:
    return len(next(iter(inputs.values())))


def _latency_ms(content: bytes, row: Arrays, threads: int) -> float:
    return 1000 * median(latencies(content, row, threads, _LATENCY_SECONDS, _LATENCY_ROWS))


def _gist(error: Exception) -> str:
    """Returns what matters of an error of TensorFlow's, which can be pages long, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    missing = [line for line in lines if line.startswith(("TF Select ops:", "Custom ops:"))]
    if missing:
        return "operations without a kernel: " + "; ".join(
            line.partition(": ")[2] for line in missing
        )
    return f"{type(error).__name__}: {lines[0][:300]}"
