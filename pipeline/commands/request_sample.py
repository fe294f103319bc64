"""`tapeline request-sample`: a request to try a served model with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pipeline.commands import server_arguments as server
from pipeline.commands.arguments import Set
from pipeline.program import shell_line
from pipeline.served_model import version_folder

if TYPE_CHECKING:
    from pipeline.predict.server import Asked
    from serving.client.metadata import Signature

_URL = "http://localhost:8501"


def request_sample(
    model: Annotated[
        Optional[str],
        typer.Argument(
            metavar="MODEL", help="CONFIG of a run, a model's folder, or a version's folder."
        ),
    ] = None,
    set_: Set = None,
    signature: Annotated[str, typer.Option(help="Which way to ask the model.")] = "serving_raw",
    rows: Annotated[int, typer.Option(min=1, metavar="N", help="Examples in the request.")] = 1,
    column: Annotated[
        bool, typer.Option("--column", help="A list for each input, not an object for each row.")
    ] = False,
    body: Annotated[bool, typer.Option("--body", help="The JSON alone, for curl -d @-.")] = False,
    url: server.Url = None,
    grpc: server.Grpc = None,
    model_name: server.ModelName = None,
    version: server.Version = None,
    label: server.Label = None,
    tls: server.Tls = False,
    ca: server.Ca = None,
    cert: server.Cert = None,
    key: server.Key = None,
) -> None:
    """Print a curl line that asks a served model about a real example; with --grpc, a program.

    The example is of the data that the model was trained on, else of its warmup requests, else
    zeros; stderr says so.

    Example: tapeline request-sample configs/digits.yaml | sh
    """
    from pipeline.predict.server import Asked, ServerOptions
    from pipeline.sample_request import curl_line, python_snippet, sample_request
    from serving.client.metadata import Target

    options = ServerOptions(url, grpc, tls, ca, cert, key)
    asked = Asked(model, model_name, set_ or [], version, label, options)
    asked.check(needs_server=model is None)
    folder = version_folder(model, set_ or []) if model is not None else None
    sample = sample_request(folder, signature, _signatures(asked, folder), rows)
    if sample.note is not None:
        print(f"note: the example is {sample.note}", file=sys.stderr)
    text = sample.body(column)
    name, number = asked.on_server()
    if body:
        print(text)
    elif grpc is not None:
        chosen = {"version": number, "label": label}
        secured = {"ca": ca, "cert": cert, "key": key} if options.is_secure_grpc else None
        print(python_snippet(grpc, name, chosen, sample, secured))
    else:
        path = Target(name, number, label).rest_path
        address = f"{(url or _URL).rstrip('/')}{path}:{sample.verb}"
        files = {"--cacert": ca, "--cert": cert, "--key": key}
        print(curl_line(address, text, files, shell_line(*sys.argv[1:], "--body")))


def _signatures(asked: Asked, folder: Path | None) -> Mapping[str, Signature]:
    from pipeline.predict.models import LocalModel, RemoteModel
    from serving.client import RetryPolicy, ServingClientError

    if folder is not None:
        return LocalModel(folder).signatures()
    name, version = asked.on_server()
    with asked.server.connect(name, RetryPolicy()) as client:
        remote = RemoteModel(client, version, asked.label, client.timeout)
        try:
            return remote.signatures()
        except ServingClientError as error:
            print(f"error: {remote.where}: {error}; is it up?", file=sys.stderr)
            raise typer.Exit(1) from error
