import socket

import pytest

from serving.server.flags import FREE_REST_PORT, Flags, InvalidFlags
from serving.server.ports import PortTaken, Reserved


def flags(**values):
    return Flags(model_base_path="/m", **{"port": 0, **values})


def listener(port, share):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.listen()
    return made


def test_ports_when_reserved_then_several_processes_may_share_them():
    with Reserved(flags(rest_api_port=FREE_REST_PORT)) as ports:
        assert ports.port != ports.rest_port
        assert str(ports) == (
            f"REST on http://127.0.0.1:{ports.rest_port}, gRPC on 127.0.0.1:{ports.port}"
        )
        with listener(ports.port, share=True), listener(ports.port, share=True):
            socket.create_connection(("127.0.0.1", ports.port), timeout=10).close()


@pytest.mark.parametrize("share", [False, True], ids=["alone", "that shares it"])
@pytest.mark.parametrize("flag", ["port", "rest_api_port"])
def test_a_port_when_another_server_has_it_then_is_refused_by_name(flag, share):
    with listener(0, share) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"--{flag}: port {port} .*in use"):
            Reserved(flags(**{flag: port}))


def test_a_port_when_reserved_but_not_yet_served_then_is_refused_to_another_server():
    with Reserved(flags()) as first, pytest.raises(PortTaken):
        Reserved(flags(port=first.port))


def test_ports_when_one_is_taken_then_the_other_is_given_back():
    with listener(0, False) as other, listener(0, False) as free:
        port = free.getsockname()[1]
        free.close()
        with pytest.raises(PortTaken):
            Reserved(flags(port=port, rest_api_port=other.getsockname()[1]))
        with Reserved(flags(port=port)):
            pass


def test_a_host_when_unknown_then_is_a_wrong_flag():
    with pytest.raises(InvalidFlags, match="--host"):
        Reserved(flags(host="no such host.invalid"))
