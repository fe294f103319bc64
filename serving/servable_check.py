"""The gate before a push: does the SavedModel, loaded as TF Serving loads it, answer as it should?

    python -m serving.servable_check SAVED_MODEL REFERENCE_ANSWERS --tolerance 1e-5

Run in a process of its own, so that nothing of the training is left to help the model along. The
reference is a TFRecord of PredictionLog; prints one line of JSON and exits 1 if the model fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

# Kept free of TensorFlow at import: callers of `check_servable` need not load it.


class ServableCheckFailed(RuntimeError):
    """The model must not be served; the message says which signature and output, and why."""


def check_servable(saved_model: Path, reference: Path, tolerance: float) -> None:
    """Checks a SavedModel in a fresh process.

    Raises:
        ServableCheckFailed: if it does not load, lacks a signature, or an answer differs from the
            reference by more than `tolerance`.
    """
    command = [sys.executable, "-m", "serving.servable_check", str(saved_model), str(reference)]
    done = subprocess.run(
        [*command, "--tolerance", repr(tolerance)], capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines()
    try:
        verdict = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError):
        verdict = {"error": f"the check ended with code {done.returncode}: {done.stderr[-2000:]}"}
    if done.returncode != 0 or "error" in verdict:
        raise ServableCheckFailed(verdict.get("error", done.stderr[-2000:]))


def compare_with_reference(
    saved_model: Path, reference: Path, tolerance: float
) -> dict[str, float]:
    """Returns the largest difference of each signature from the reference answers.

    Floats may differ by `tolerance`, relative to 1 or to the value where that is larger; integers
    and strings may not differ.

    Raises:
        ServableCheckFailed: if an answer differs or is missing.
        InvalidModel, InvalidRequest: if the model does not load, or lacks a signature.
    """
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    from serving.session import SavedModelSession

    session = SavedModelSession(saved_model)
    differences: dict[str, float] = {}
    for record in tf.compat.v1.io.tf_record_iterator(str(reference)):
        log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
        signature = log.request.model_spec.signature_name
        inputs = {name: tf.make_ndarray(value) for name, value in log.request.inputs.items()}
        expected = {name: tf.make_ndarray(value) for name, value in log.response.outputs.items()}
        found = session.run(signature, inputs)
        if set(found) != set(expected):
            raise ServableCheckFailed(
                f"signature {signature}: found outputs {sorted(found)}; expected {sorted(expected)}"
            )
        largest = 0.0
        for name, value in expected.items():
            kinds = [f"{array.dtype} {array.shape}" for array in (found[name], value)]
            if kinds[0] != kinds[1]:
                raise ServableCheckFailed(
                    f"signature {signature}, output {name}: found {kinds[0]}; expected {kinds[1]}"
                )
            if value.dtype.kind == "f":
                # A NaN on either side is a difference that no tolerance allows.
                error = np.abs(found[name] - value) / np.maximum(1.0, np.abs(value))
                difference = float(np.max(np.nan_to_num(error, nan=np.inf), initial=0.0))
            else:
                difference = 0.0 if np.array_equal(found[name], value) else np.inf
            if difference > tolerance:
                raise ServableCheckFailed(
                    f"signature {signature}, output {name}: differs from the trained model by "
                    f"{difference:.3g}; allowed: {tolerance:g}"
                )
            largest = max(largest, difference)
        differences[signature] = max(largest, differences.get(signature, 0.0))
    missing = sorted(set(session.signatures) - set(differences))
    if missing:
        raise ServableCheckFailed(f"signatures without a reference answer: {', '.join(missing)}")
    return differences


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.servable_check", description=__doc__)
    parser.add_argument("saved_model", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    options = parser.parse_args(arguments)
    try:
        differences = compare_with_reference(
            options.saved_model, options.reference, options.tolerance
        )
    except Exception as error:  # the verdict is what this program is for, whatever went wrong
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return 1
    print(json.dumps({"differences": differences}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
