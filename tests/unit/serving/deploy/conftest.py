"""A server for the paths that the manifests ask."""

from __future__ import annotations

import pytest

from serving.server_process import embedded_server


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory):
    """The embedded server with a model `plain` and TF Serving's metrics."""
    import tensorflow as tf

    from serving.text_configs import monitoring_text

    class Same(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def same(self, x):
            return {"y": x}

    folder, module = tmp_path_factory.mktemp("plain"), Same()
    tf.saved_model.save(module, str(folder / "plain" / "1"), {"serving_default": module.same})
    (folder / "monitoring.config").write_text(monitoring_text())
    flags = [
        "--model_name=plain",
        f"--model_base_path={folder}/plain",
        f"--monitoring_config_file={folder}/monitoring.config",
    ]
    with embedded_server(flags) as server:
        yield server
