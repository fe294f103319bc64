"""TLS for gRPC by TF Serving's ssl_config.proto: keys and certificates are PEM in the file itself.

As with TF Serving, REST stays plain; put a proxy before it where it must not.
"""

from __future__ import annotations

import grpc

from serving.server.flags import InvalidFlags
from serving.text_configs import Tls


def server_credentials(config: Tls) -> grpc.ServerCredentials:
    """Returns the credentials that grpc takes.

    Raises:
        InvalidFlags: if key or certificate is no PEM, or clients are to be verified by nothing.
    """
    for field, block in (("server_key", "PRIVATE KEY"), ("server_cert", "CERTIFICATE")):
        if f"{block}-----" not in getattr(config, field):
            raise InvalidFlags(f"--ssl_config_file: {field}: allowed: PEM text, not a path")
    if config.client_verify and not config.custom_ca:
        raise InvalidFlags("--ssl_config_file: client_verify needs custom_ca")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
