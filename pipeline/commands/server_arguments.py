"""Arguments of the commands that ask a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Url = Annotated[
    Optional[str],
    typer.Option(metavar="URL", help="Ask a server by REST: http://host:8501, https://..."),
]
Grpc = Annotated[
    Optional[str], typer.Option(metavar="HOST:PORT", help="Ask a server by gRPC: host:8500.")
]
ModelName = Annotated[
    Optional[str],
    typer.Option(
        "--model", metavar="NAME", help="The model's name on the server, in place of MODEL."
    ),
]
Version = Annotated[
    Optional[int], typer.Option(min=1, help="Of the model on the server; its newest if not given.")
]
Label = Annotated[Optional[str], typer.Option(help="Of the version on the server: stable, canary.")]
Tls = Annotated[bool, typer.Option("--tls", help="Ask by gRPC over TLS.")]
Ca = Annotated[
    Optional[Path], typer.Option(metavar="FILE", help="Authorities to trust, in PEM (TLS).")
]
Cert = Annotated[
    Optional[Path], typer.Option(metavar="FILE", help="The client's certificate, in PEM (TLS).")
]
Key = Annotated[Optional[Path], typer.Option(metavar="FILE", help="Its private key, in PEM (TLS).")]
