"""Asks a Kubeflow Pipelines API server, for `tapeline submit` and `tapeline schedule`.

A program of the submission environment, whose protobuf TFX does not run with: this package imports
kfp and the standard library, and nothing else. It reads one request from stdin and answers on
stdout, a line of JSON each: `progress` while it waits, then one `result` or one `error`.

    .venv-kfp/bin/python -m pipeline.runners.kubeflow.submission < request.json
"""

from __future__ import annotations

import json
import os
import sys

from pipeline.runners.kubeflow.submission.calls import Answer, Refused, connect, without_token
from pipeline.runners.kubeflow.submission.runs import submit
from pipeline.runners.kubeflow.submission.schedules import (
    change_schedule,
    list_schedules,
    schedule,
)

ACTIONS = {
    "submit": submit,
    "schedule": schedule,
    "list": list_schedules,
    "enable": change_schedule,
    "disable": change_schedule,
    "delete": change_schedule,
}


def main() -> None:
    """Answers the request on stdin."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # kfp prints what it does

    def answer(what: Answer) -> None:
        print(without_token(json.dumps(what)), file=answers)

    request = json.load(sys.stdin)
    try:
        for one in ACTIONS[request["action"]](connect(request), request):
            answer(one)
    except Refused as refused:
        answer({"error": refused.told})


if __name__ == "__main__":
    main()
