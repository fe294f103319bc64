"""One call to the API server, and what may go wrong with it.

The token is in the file that KF_PIPELINES_SA_TOKEN_PATH names, read anew for every call as such
tokens are short-lived, or in KF_PIPELINES_TOKEN. It goes into the header of the calls and nowhere
else: what is answered is searched for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import kfp
import kfp_server_api
import urllib3
from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

TOKEN = "KF_PIPELINES_TOKEN"  # noqa: S105  the names of variables
TOKEN_FILE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105
CALL_LIMIT = 60
"""Seconds in which a call has its answer, or is given up."""

Answer = dict[str, Any]


class Refused(Exception):
    """Something that was asked and not done.

    Attributes:
        told: what was asked, what was said to it, what to do, and whether all this was between us
            and this machine: the server had no part in it.
        passing: whether the same call may be answered later.
    """

    def __init__(
        self, asked: str, said: str, advice: str, *, passing: bool = False, local: bool = False
    ) -> None:
        super().__init__(said)
        said = " ".join(said.split())
        self.told: Answer = {"asked": asked, "said": said, "advice": advice, "local": local}
        self.passing = passing


class _NoAnswer(Exception):
    """A call took longer than CALL_LIMIT."""


class _Client(kfp.Client):
    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
        """Asks once: kfp's own tries five times, and does not say what the server answered."""
        return self._healthz_api.healthz_service_get_healthz()


def connect(request: Answer) -> kfp.Client:
    """Returns a client of the server that a request names."""
    token, file = os.environ.get(TOKEN), os.environ.get(TOKEN_FILE)
    if file and not token:
        try:
            Path(file).read_text()
        except OSError as error:
            asked, advice = f"for the token in {TOKEN_FILE}", f"a file to read, or {TOKEN}"
            raise Refused(asked, str(error), advice, local=True) from error
    with asking("whether it is there"):
        return _Client(
            host=request["host"],
            # kfp's own default stands for no namespace at all
            namespace=request["namespace"] or "kubeflow",
            existing_token=token,
            credentials=ServiceAccountTokenVolumeCredentials(file) if file else None,
            ssl_ca_cert=request["ca_file"],
        )


@contextlib.contextmanager
def asking(what: str, acts: bool = False) -> Iterator[None]:
    """Turns what may go wrong with a call into a `Refused`, and ends a call that hangs.

    Args:
        what: is asked, after "asked".
        acts: whether the server may have done it all the same if its answer is lost.
    """

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise _NoAnswer

    doubt = "; it may have been done all the same: look before you ask again" if acts else ""
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(CALL_LIMIT)
    try:
        yield
    except kfp_server_api.ApiException as error:
        raise _refusal(what, error) from error
    except _NoAnswer as error:
        advice = f"see whether the server is overloaded{doubt}"
        raise Refused(what, f"no answer in {CALL_LIMIT} s", advice, passing=True) from error
    except urllib3.exceptions.MaxRetryError as error:  # nothing was sent, or nothing acts
        reason = str(error.reason)
        advice = "see that host and port are the API's, and that it is reached from here"
        if isinstance(error.reason, urllib3.exceptions.SSLError):
            advice = "orchestration.kubeflow.ca_file: the certificate authority of the server"
        said = reason.partition("): ")[2] or reason
        raise Refused(what, said, advice, passing=True) from error
    except urllib3.exceptions.HTTPError as error:
        advice = f"see the server's log{doubt}"
        raise Refused(what, f"the connection broke: {error}", advice, passing=True) from error
    except (AttributeError, TypeError, ValueError) as error:
        said = "an answer that is none of Kubeflow Pipelines'"
        advice = "see that the host is the API's, and not a page to log in at, as without a token"
        raise Refused(what, said, advice) from error
    finally:
        signal.alarm(0)


def _refusal(what: str, error: kfp_server_api.ApiException) -> Refused:
    """Reads an error as the API server words them: {"code", "message", "details"}."""
    try:
        said = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        said = str(error.body or "")[:300]
    said = f"{error.status} {error.reason}: {said}"
    if error.status == 401:
        advice = f"a token that is valid: {TOKEN_FILE}, a file, or {TOKEN}"
    elif error.status == 403:
        advice = "the right to do it in orchestration.kubeflow.namespace, for the token's account"
    elif "schema version" in said or "executor not implemented" in said or "resolver" in said:
        advice = "compile it for this server: tapeline compile CONFIG --target kubeflow"
    elif "namespace" in said:
        advice = "orchestration.kubeflow.namespace: the one that you work in"
    elif error.status == 400:
        advice = "mend what it names; nothing was made"
    elif error.status == 404 and "not found" not in said:
        advice = "see that the host is the API's: on many clusters it ends in /pipeline"
    else:
        advice = "its log says more: kubectl logs -n kubeflow deploy/ml-pipeline"
    return Refused(what, said, advice, passing=error.status >= 500)


def known(what: str, found: Any, name: str) -> Any:
    """Returns what the server answered if it has the ID that such an answer has."""
    with asking(what):
        if not getattr(found, name):
            raise ValueError(name)
    return found


def without_token(line: str) -> str:
    """Returns a line without the token, which a server may have sent back in an error."""
    secrets = [os.environ.get(TOKEN, "")]
    with contextlib.suppress(OSError, KeyError):
        secrets.append(Path(os.environ[TOKEN_FILE]).read_text().strip())
    for secret in filter(None, secrets):
        line = line.replace(secret, "(token)")
    return line
