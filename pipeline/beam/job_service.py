"""Beam's Python job service, with jobs that fail when a worker dies.

python -m pipeline.beam.job_service --port=0 --port_file=FILE --staging_dir=FOLDER
"""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

from apache_beam.runners.portability import local_job_service_main

from pipeline.beam.dead_workers import failing_with_lost_workers


def main() -> None:
    signal.signal(signal.SIGTERM, _exit)
    logging.basicConfig(level=logging.INFO)
    with failing_with_lost_workers():
        local_job_service_main.run(sys.argv[1:])


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
