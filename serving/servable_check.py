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
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from serving.session import SavedModelSession

    Arrays = Mapping[str, np.ndarray]

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
    and strings may not differ. Every signature has to be of the form that TF Serving demands of
    its method, and the warmup requests, if there are any, have to run.

    Raises:
        ServableCheckFailed: if an answer differs or is missing, a signature has another form, or
            a warmup request fails.
        InvalidModel, InvalidRequest: if the model does not load, or lacks a signature.
    """
    from serving.prediction_logs import exchange, read_logs
    from serving.session import SavedModelSession

    session = SavedModelSession(saved_model)
    for name, definition in session.signatures.items():
        _check_form(name, definition)
    differences: dict[str, float] = {}
    for log in read_logs(reference):
        asked = exchange(log)
        name = asked.signature
        _check_method(name, session.signature(name), asked.method)
        found = session.run(name, asked.inputs)
        largest = _largest_difference(name, found, asked.outputs, tolerance)
        differences[name] = max(largest, differences.get(name, 0.0))
    missing = sorted(set(session.signatures) - set(differences))
    if missing:
        raise ServableCheckFailed(f"signatures without a reference answer: {', '.join(missing)}")
    _replay_warmup(session, saved_model)
    return differences


def _check_form(name: str, definition: Any) -> None:
    """Holds a signature to what TF Serving demands of its method.

    Predict takes any names. Classify and Regress have one input, examples [b]; the first answers
    with `classes` and `scores`, [b, n] both, or one of them, the second with `outputs`, [b] or
    [b, 1] (servables/tensorflow/classifier.cc and regressor.cc).
    """
    import tensorflow as tf

    if not tf.compat.v1.saved_model.is_valid_signature(definition):
        raise ServableCheckFailed(
            f"signature {name}: found method {definition.method_name!r} with inputs "
            f"{sorted(definition.inputs)} and outputs {sorted(definition.outputs)}; expected what "
            "TF Serving demands of predict, classify or regress"
        )
    ranks = {
        tf.saved_model.CLASSIFY_METHOD_NAME: ([1], [2]),
        tf.saved_model.REGRESS_METHOD_NAME: ([1], [1, 2]),
    }
    if definition.method_name not in ranks:
        return
    for infos, allowed in zip(
        (definition.inputs, definition.outputs), ranks[definition.method_name], strict=True
    ):
        for alias, info in infos.items():
            rank = tf.TensorShape(info.tensor_shape).rank
            if rank not in (None, *allowed):
                raise ServableCheckFailed(
                    f"signature {name}, {alias}: found rank {rank}; expected "
                    f"{' or '.join(map(str, allowed))} for {definition.method_name}"
                )


def _check_method(name: str, definition: Any, method: str | None) -> None:
    if method is not None and definition.method_name != method:
        raise ServableCheckFailed(
            f"signature {name}: found method {definition.method_name!r}; expected {method!r}"
        )


def _largest_difference(signature: str, found: Arrays, expected: Arrays, tolerance: float) -> float:
    """Returns the largest difference of an answer from the expected one.

    Raises:
        ServableCheckFailed: if it is more than `tolerance`, or the answer is of another form.
    """
    import numpy as np

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
    return largest


def _replay_warmup(session: SavedModelSession, saved_model: Path) -> None:
    """Runs the warmup requests: TF Serving does not load a version if one of them fails."""
    from serving.prediction_logs import exchange, read_logs
    from serving.version_folders import MAX_WARMUP_RECORDS, WARMUP_FILE

    file = saved_model / WARMUP_FILE
    if not file.exists():
        return
    number = 0
    try:
        for number, log in enumerate(read_logs(file), start=1):
            if number > MAX_WARMUP_RECORDS:
                allowed = f"the {MAX_WARMUP_RECORDS} that TF Serving takes"
                raise ValueError(f"found more records than {allowed}")
            asked = exchange(log)
            _check_method(asked.signature, session.signature(asked.signature), asked.method)
            session.run(asked.signature, asked.inputs)
    except Exception as error:  # a server that meets it does not serve, whatever it is
        raise ServableCheckFailed(
            f"{file.name}, record {number}: {type(error).__name__}: {error}"
        ) from error


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
