"""A server as a child process: started when it says so, ended whatever happens."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request

import psutil
import pytest

from serving import server_process as module
from serving.server_process import RunningServer, ServerFailed, embedded_server, server_process


def program(tmp_path, text):
    path = tmp_path / "server.py"
    path.write_text(text)
    return [sys.executable, str(path)]


READY = r"serving REST on http://127.0.0.1:81, gRPC on 127.0.0.1:80\n"
SERVES = f"import time\nprint('{READY}', end='', flush=True)\ntime.sleep(600)"


def test_server_when_it_says_where_it_serves_then_is_yielded_and_ended_after(tmp_path):
    with server_process(program(tmp_path, SERVES)) as server:
        assert server == RunningServer(server.pid, "127.0.0.1", rest_port=81, grpc_port=80)
        assert server.target == "127.0.0.1:80"
        assert psutil.pid_exists(server.pid)
    assert not psutil.pid_exists(server.pid)


def test_server_when_the_block_raises_then_is_ended_too(tmp_path):
    with (
        pytest.raises(ValueError, match="of the caller"),
        server_process(program(tmp_path, SERVES)) as server,
    ):
        raise ValueError("of the caller")
    assert not psutil.pid_exists(server.pid)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit('no such model')", "no such model"),
        ("print('hello')", "hello"),
        ("", "it says nothing"),
    ],
)
def test_server_when_it_does_not_start_then_tells_what_it_said(tmp_path, text, said):
    with (
        pytest.raises(ServerFailed, match=f"did not start: {said}"),
        server_process(program(tmp_path, text)),
    ):
        pass


def test_server_when_it_never_says_so_then_is_given_up_and_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_START", 0.2)
    started = []
    popen = module.subprocess.Popen
    monkeypatch.setattr(
        module.subprocess,
        "Popen",
        lambda *args, **kw: started.append(popen(*args, **kw)) or started[0],
    )
    with (
        pytest.raises(ServerFailed, match="it says nothing"),
        server_process(program(tmp_path, "import time\ntime.sleep(600)")),
    ):
        pass
    assert started[0].returncode == -signal.SIGKILL


def test_server_when_it_ignores_sigterm_then_is_killed_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_DRAIN", 0.2)
    text = (
        "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"if os.fork():\n    os.write(1, b'{READY}')\nimport time\ntime.sleep(600)"
    )
    with server_process(program(tmp_path, text)) as server:
        children = psutil.Process(server.pid).children()
        assert len(children) == 1
    assert not psutil.pid_exists(server.pid)
    psutil.wait_procs(children, timeout=30)
    assert not children[0].is_running()


def test_embedded_server_when_started_then_answers_on_ports_of_its_own(tmp_path):
    import tensorflow as tf

    class Same(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def same(self, x):
            return {"y": x}

    module = Same()
    tf.saved_model.save(module, str(tmp_path / "same" / "1"), {"serving_default": module.same})
    with embedded_server(["--model_name=same", f"--model_base_path={tmp_path}/same"]) as server:
        url = f"http://{server.host}:{server.rest_port}/v1/models/same"
        with urllib.request.urlopen(url) as answer:
            assert b'"AVAILABLE"' in answer.read()
        assert server.grpc_port != server.rest_port
        assert os.getpgid(server.pid) == server.pid
    assert not psutil.pid_exists(server.pid)
