"""`tapeline serve` becomes the server: its words, its signals, its exit code."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

SERVER = """
printf '%s\\n' "$@" > "$0.args"
trap 'echo stopped; exit 43' TERM
echo serving
while :; do /bin/sleep 0.05; done
"""


@pytest.fixture
def root(tmp_path, write_serving_root):
    return write_serving_root(tmp_path / "serving")


@pytest.fixture
def path(tmp_path):
    """A PATH of one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def test_serve_when_tf_serving_is_on_path_then_becomes_it(root, path, write_program, tmp_path):
    program = write_program(path / "tensorflow_model_server", SERVER)
    command = [sys.executable, "-m", "pipeline.cli", "serve", str(root), "--rest-port=9001"]
    server = subprocess.Popen(
        command,
        env={**os.environ, "PATH": str(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        said = []
        for line in server.stdout:
            said.append(line.strip())
            if line == "serving\n":
                break
        server.send_signal(signal.SIGTERM)
        rest, errors = server.communicate()
    finally:
        server.kill()
        server.wait()
    assert said == [
        "REST     http://127.0.0.1:9001",
        "gRPC     127.0.0.1:8500",
        "status   curl -s http://127.0.0.1:9001/v1/models/digits",
        "serving",
    ]
    assert (server.returncode, rest) == (43, "stopped\n")
    backend, warning, started = errors.splitlines()
    assert backend == f"backend  tensorflow_model_server: found {program}"
    assert warning.startswith("warning  tensorflow_model_server listens on every address")
    assert shlex.split(started.removeprefix("command  "))[1:] == (
        (path / "tensorflow_model_server.args").read_text().splitlines()
    )


def test_serve_when_docker_is_the_best_then_runs_the_image(root, path, write_program, tapeline):
    script = (
        'test "$1" = version && echo 28.2.2 && exit\nprintf \'%s\\n\' "$@" > "$0.args"; exit 125'
    )
    write_program(path / "docker", script)
    done = tapeline("serve", str(root), cwd=root, env={"PATH": str(path)})
    assert done.code == 125, done
    assert "docker engine 28.2.2 answers" in done.stderr
    arguments = (path / "docker.args").read_text().splitlines()
    assert arguments[0] == "run"
    assert "tensorflow/serving:2.16.1" in arguments
    assert f"--model_config_file={root}/models.config" in arguments


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--backend=docker"], "serve: --backend: found no docker on PATH; allowed: one that is"),
        (["--rest-port=8500"], "serve: --rest-port: found 8500, as --grpc-port; allowed: another"),
    ],
    ids=["no docker", "one port twice"],
)
def test_serve_when_it_cannot_run_as_asked_then_says_so_and_exits_2(
    root, path, tapeline, arguments, error
):
    done = tapeline("serve", str(root), *arguments, cwd=root, env={"PATH": str(path)})
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {error}")


def test_serve_when_the_program_cannot_be_executed_then_says_why(root, path, tapeline):
    program = path / "tensorflow_model_server"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    done = tapeline("serve", str(root), cwd=root, env={"PATH": str(path)})
    assert done.code == 2
    assert f"--backend: found {program}: Exec format error; allowed: a program" in done.stderr


def test_serve_when_the_backend_is_unknown_then_lists_those_that_there_are(root, tapeline):
    done = tapeline("serve", str(root), "--backend=torchserve", cwd=root)
    assert done.code == 2
    assert "tensorflow_model_server" in done.stderr


def test_serve_when_the_directory_is_of_an_older_push_then_says_to_run_again(root, tapeline):
    (root / "monitoring.config").unlink()
    done = tapeline("serve", str(root / "digits"), cwd=root)
    assert done.code == 2
    assert done.stderr == (
        f"error: {root}/digits: MODEL: found {root} without monitoring.config; allowed: what "
        "`tapeline run` pushes: run it again to bring the directory up to date\n"
    )


def test_serve_when_given_a_configuration_then_serves_its_directory(
    tmp_path, repository, path, write_serving_root, write_program, tapeline
):
    root = write_serving_root(tmp_path / "runs" / "digits" / "serving")
    write_program(path / "tensorflow_model_server", 'printf \'%s\\n\' "$@" > "$0.args"')
    config = str(repository / "configs" / "digits.yaml")
    arguments = ["serve", config, "--set", f"root={tmp_path}/runs"]
    done = tapeline(*arguments, cwd=tmp_path, env={"PATH": str(path)})
    assert done.code == 0, done
    arguments = (path / "tensorflow_model_server.args").read_text().splitlines()
    assert f"--model_config_file={root}/models.config" in arguments


def test_serve_when_nothing_else_is_here_then_the_embedded_server_answers(
    tmp_path, path, write_serving_root
):
    """The command's own curl line, asked word for word by hand."""
    import tensorflow as tf

    class Same(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def same(self, x):
            return {"y": x}

    root, module = write_serving_root(tmp_path / "embedded"), Same()
    version = str(root / "digits" / "3")
    tf.saved_model.save(module, version, signatures={"serving_default": module.same})
    ports = free_ports(2)
    arguments = [f"--rest-port={ports[0]}", f"--grpc-port={ports[1]}", "--processes=1"]
    server = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "serve", str(root), *arguments],
        env={**os.environ, "PATH": str(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        said = {}
        for line in server.stdout:
            name, _, rest = line.strip().partition(" ")
            said[name] = rest.strip()
            if name == "serving":
                break
        url = shlex.split(said["status"])[-1]
        assert url == f"http://127.0.0.1:{ports[0]}/v1/models/digits"
        with urllib.request.urlopen(url) as answer:
            assert b'"AVAILABLE"' in answer.read()
        server.send_signal(signal.SIGTERM)
        server.communicate()
    finally:
        server.kill()
        server.wait()
    assert server.returncode == 0


def free_ports(count):
    """Ports that nothing listens on, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in held]
    finally:
        for listener in held:
            listener.close()
