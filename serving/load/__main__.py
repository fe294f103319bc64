"""`python -m serving.load`: reads a load as JSON on stdin, makes it, prints the result as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from dataclasses import asdict

import uvloop

from serving.load.calls import from_json
from serving.load.clients import make_load


def main() -> None:
    order = json.load(sys.stdin)
    load = make_load(from_json(order["call"]), order["clients"], order["warmup"], order["seconds"])
    # A collection in mid-load would be taken for the server's latency.
    gc.disable()
    uvloop.install()
    print(json.dumps(asdict(asyncio.run(load))))


if __name__ == "__main__":
    main()
