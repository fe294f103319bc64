"""`python -m serving.server`: tensorflow_model_server's flags, TF Serving's contract.

Prints one line when every process has loaded its models, such as

    serving REST on http://127.0.0.1:8501, gRPC on 127.0.0.1:8500

Exit codes: 0 after SIGTERM or SIGINT, 1 if the server could not start, 2 for bad flags.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server; returns the exit code."""
    warnings.simplefilter("ignore")
    from serving.server.flags import (
        InvalidFlags,
        batching,
        metrics_path,
        model_server_config,
        parse_flags,
        tls,
    )
    from serving.server.ports import PortTaken
    from serving.server.supervisor import StartFailed, Supervisor
    from serving.server.tls import server_credentials

    try:
        flags = parse_flags(sys.argv[1:] if arguments is None else arguments)
        config = model_server_config(flags)
        batching(flags)
        metrics_path(flags)
        security = tls(flags)
        if security is not None:
            server_credentials(security)

        async def serve() -> int:
            return await Supervisor(flags, config).run()

        return asyncio.run(serve())
    except (InvalidFlags, PortTaken, StartFailed) as error:
        print(f"serving.server: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InvalidFlags) else 1


if __name__ == "__main__":
    sys.exit(main())
