"""One worker of an engine: the process that runs the Python code of a job's stages.

    python -m pipeline.beam.worker CONTROL_ENDPOINT WORKER_ID

The worker pool starts it. It settles first what the code takes for granted in the run's process:
which Keras TensorFlow brings. It ends when the engine closes the connection or is no more.
"""

from __future__ import annotations

import logging
import os
import sys

import trainer_module  # noqa: F401  before anything imports TensorFlow


def main() -> None:
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    logging.basicConfig(level=logging.WARNING)
    control_endpoint, worker_id = sys.argv[1:]
    code = 1
    try:
        SdkHarness(control_endpoint, worker_id=worker_id).run()
        code = 0
    except Exception:
        logging.exception("the connection to %s broke", control_endpoint)
    finally:
        # Not by the interpreter, which would wait for threads that wait for an engine that died.
        logging.shutdown()
        os._exit(code)


if __name__ == "__main__":
    main()
