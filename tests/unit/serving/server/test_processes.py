"""The server as its users start it: several processes behind one pair of ports."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import httpx
import pytest
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

LIMIT = 120


class Server:
    """A started server; its ready line is read."""

    def __init__(self, log, *flags):
        self.log = log
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serving.server", "--port=0", "--rest_api_port=-1", *flags],
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
            )
        line = self.process.stdout.readline()
        found = re.fullmatch(r"serving REST on (http://\S+:\d+), gRPC on (\S+:\d+)\n", line)
        assert found, line + log.read_text()
        self.url, self.target = found.groups()

    def predict(self, x=((1.0, 2.0),), path="plain:predict"):
        # A connection each: the kernel gives them to the processes in turn.
        return httpx.post(f"{self.url}/v1/models/{path}", json={"instances": x}, timeout=LIMIT)

    def workers(self):
        """Returns the ids of the processes that serve."""
        own = str(self.process.pid)
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[1] == own and fields[0] != "Z":
                found.append(int(status.parent.name))
        return found

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(LIMIT)
        self.process.stdout.close()


def wait_until(is_so):
    end = time.monotonic() + LIMIT
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory):
    path = tmp_path_factory.mktemp("monitoring") / "monitoring.config"
    path.write_text("prometheus_config { enable: true }")
    return path


@pytest.fixture(scope="module")
def server(model_root, monitoring, tmp_path_factory):
    """Two processes that serve `plain`; tests leave it serving."""
    made = Server(
        tmp_path_factory.mktemp("server") / "log",
        f"--model_base_path={model_root / 'plain'}",
        "--model_name=plain",
        f"--monitoring_config_file={monitoring}",
        "--processes=2",
        "--max_num_load_retries=0",
    )
    yield made
    made.end()


def test_the_ready_line_when_printed_then_every_process_answers(server):
    assert len(server.workers()) == 2
    for _ in range(20):
        assert server.predict().json() == {"predictions": [[3.0, 4.0]]}
    assert server.log.read_text() == ""


def test_metrics_when_asked_of_any_process_then_count_what_all_have_answered(server):
    def count():
        text = httpx.get(f"{server.url}/monitoring/prometheus/metrics", timeout=LIMIT).text
        found = re.search(r'request_count{model_name="plain",status="OK"} (\d+)', text)
        return int(found[1]) if found else 0

    before = count()
    for _ in range(20):
        server.predict()
    assert [count() - before for _ in range(10)] == [20] * 10


def test_a_worker_when_killed_then_another_takes_its_place(server):
    victim, other = server.workers()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(server.workers()) == 2 and victim not in server.workers())
    assert other in server.workers()
    assert "was ended by signal 9" in server.log.read_text()
    wait_until(lambda: all(server.predict().status_code == 200 for _ in range(20)))
    server.log.write_text("")


def reload(server, **models):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    for name, path in models.items():
        request.config.model_config_list.config.add(
            name=name, base_path=str(path), model_platform="tensorflow"
        )
    with grpc.insecure_channel(server.target) as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(
            request, timeout=LIMIT
        )


def test_a_reload_when_confirmed_then_is_in_force_in_every_process(server, model_root):
    reload(server, plain=model_root / "plain", also=model_root / "plain")
    for _ in range(20):
        assert server.predict(path="also:predict").status_code == 200
    with pytest.raises(grpc.RpcError) as caught:
        reload(server, plain=model_root / "plain", relative="a/b")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for _ in range(20):
        assert server.predict(path="also:predict").status_code == 200
    reload(server, plain=model_root / "plain")


def listens(process, port):
    """Returns whether a process has a socket of its own that listens on a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {
        f"socket:[{row[9]}]"
        for row in rows
        if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port
    }
    held = set()
    for end in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(os.readlink(end))
    return bool(listening & held)


def replace_a_worker(server):
    """Kills a worker; returns when another serves in its place."""
    victim, *others = server.workers()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len({*server.workers()} - {victim}) == 2)
    [newest] = [worker for worker in server.workers() if worker not in others]
    wait_until(lambda: listens(newest, int(server.url.rpartition(":")[2])))


def test_a_reload_when_a_new_model_is_broken_then_the_new_set_is_in_force_in_every_process(
    server, model_root, tmp_path
):
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "saved_model.pb").write_bytes(b"no model")
    plain = model_root / "plain"
    with pytest.raises(grpc.RpcError) as caught:
        reload(server, plain=plain, also=plain, broken=tmp_path / "broken")
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    replace_a_worker(server)
    for _ in range(20):
        assert server.predict(path="also:predict").status_code == 200
        assert server.predict().status_code == 200
    reload(server, plain=plain)
    server.log.write_text("")


def test_a_version_when_available_then_is_so_in_every_process(server, model_root):
    root = model_root / "plain"
    shutil.copytree(root / "1", root.parent / ".staged")
    (root.parent / ".staged").rename(root / "3")
    url = f"{server.url}/v1/models/plain/versions/3"

    def is_available():
        answer = httpx.get(url, timeout=LIMIT)
        return answer.status_code == 200 and '"AVAILABLE"' in answer.text

    try:
        wait_until(is_available)
        for _ in range(20):
            assert server.predict(path="plain/versions/3:predict").status_code == 200
    finally:
        shutil.rmtree(root / "3")
        wait_until(lambda: server.predict().json() == {"predictions": [[3.0, 4.0]]})


def test_a_port_when_a_server_has_it_then_the_next_server_says_so_and_ends(server, model_root):
    port = server.url.rpartition(":")[2]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "serving.server", f"--rest_api_port={port}", "--port=0"),
            f"--model_base_path={model_root / 'plain'}",
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"--rest_api_port: port {port}" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /v1/models/\xff HTTP/1.1\r\n\r\n", 400),
        (b"POST /v1/models/plain:predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (
            b"POST /v1/models/plain:predict HTTP/1.1\r\ncontent-length: 99999999999\r\n"
            b"expect: 100-continue\r\n\r\n",
            413,
        ),
    ],
    ids=["no request", "path", "length", "size"],
)
def test_a_head_when_hostile_then_is_refused_in_json_and_others_are_served(server, head, status):
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
        connection.sendall(head)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert list(json.loads(answer.partition(b"\r\n\r\n")[2])) == ["error"]
    assert server.predict().status_code == 200


def test_a_head_when_without_end_then_the_connection_is_closed(server):
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    # What is on its way when the server closes makes a reset of the answer.
    with (
        socket.create_connection((host, int(port)), timeout=LIMIT) as connection,
        pytest.raises((ConnectionError, BrokenPipeError)),
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nx: ")
        while True:
            connection.sendall(b"a" * 10_000)
    assert server.predict().status_code == 200


def test_sigterm_when_requests_are_under_way_then_they_are_answered_first(model_root, tmp_path):
    server = Server(
        tmp_path / "log",
        f"--model_base_path={model_root / 'plain'}",
        "--model_name=plain",
        "--processes=2",
    )
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    body = json.dumps({"instances": [[1.0, 2.0]]}).encode()
    head = b"POST /v1/models/plain:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
        connection.sendall(head % len(body) + body[:-1])
        # Another answer on every process: the first request is with one of them by now.
        for _ in range(20):
            assert server.predict().status_code == 200
        server.process.terminate()

        def refuses():
            try:
                socket.create_connection((host, int(port)), timeout=LIMIT).close()
            except OSError:
                return True
            return False

        wait_until(refuses)
        connection.sendall(body[-1:])
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'{"predictions":[[3.0,4.0]]}')
    assert server.process.wait(LIMIT) == 0
    assert server.log.read_text() == ""
    server.end()


def test_a_second_signal_when_requests_are_under_way_then_ends_at_once(model_root, tmp_path):
    server = Server(
        tmp_path / "log",
        f"--model_base_path={model_root / 'plain'}",
        "--model_name=plain",
        "--processes=1",
        "--drain_seconds=100",
    )
    workers = server.workers()
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
        connection.sendall(
            b"POST /v1/models/plain:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"
        )
        assert server.predict().status_code == 200
        server.process.terminate()
        time.sleep(0.5)
        assert server.process.poll() is None
        server.process.terminate()
        assert server.process.wait(LIMIT) == 128 + signal.SIGTERM
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    server.end()


def test_workers_when_the_first_process_is_killed_then_end_too(model_root, tmp_path):
    server = Server(
        tmp_path / "log",
        f"--model_base_path={model_root / 'plain'}",
        "--model_name=plain",
        "--processes=2",
    )
    workers = server.workers()
    server.process.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    server.end()


def test_a_model_when_it_does_not_load_then_the_server_says_why_and_ends(tmp_path):
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "saved_model.pb").write_bytes(b"no model")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "serving.server", "--port=0", "--max_num_load_retries=0"),
            f"--model_base_path={tmp_path / 'broken'}",
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "serving.server: error:" in done.stderr
    assert "default" in done.stderr
