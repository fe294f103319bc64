"""Metadata in the files, where the library loads, and what is said where it does not."""

from __future__ import annotations

import builtins
import importlib
import io
import json
import zipfile

import pytest

from serving.lite import metadata
from serving.lite.metadata import Description, MetadataUnavailable, read_metadata, with_metadata
from serving.lite.table import table_lines

CLASSES = "cat\ndog\nfrog\nhorse"


def test_files_when_the_library_loads_then_tell_their_tensors_and_else_the_report_says_why(report):
    (reason,) = {verdict.without_metadata for verdict in report.variants}
    content = (report.folder / "int8.tflite").read_bytes()
    if reason is not None:
        assert reason.endswith("apt install libusb-1.0-0, or pip install libusb-package")
        assert table_lines(report)[-1] == f"without metadata: {reason}"
        return
    found = json.loads(read_metadata(content))
    assert (found["name"], found["version"]) == ("pictures", "7")
    (graph,) = found["subgraph_metadata"]
    (image,) = graph["input_tensor_metadata"]
    assert image["name"] == "image"
    assert image["description"].startswith("a transformed feature, int8 [rows, 8, 8, 1]; (value ")
    (scaling,) = image["process_units"]
    assert scaling["options"] == {"mean": [0.0], "std": [16.0]}
    assert image["stats"] == {"max": [1.0], "min": [0.0]}
    outputs = {tensor["name"]: tensor for tensor in graph["output_tensor_metadata"]}
    kinds = {
        name: [file["type"] for file in tensor.get("associated_files", [])]
        for name, tensor in outputs.items()
    }
    assert kinds == {
        "class_id": ["TENSOR_VALUE_LABELS"],
        "probabilities": ["TENSOR_AXIS_LABELS"],
        "ink": [],
    }
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode() == CLASSES


@pytest.mark.parametrize("has_libusb", [False, True], ids=["without libusb", "with a useless one"])
def test_library_when_it_does_not_load_then_says_why_and_how_to_get_it(monkeypatch, has_libusb):
    def fail(module):
        raise ImportError("libusb-1.0.so.0: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.setattr(metadata, "_load_libusb", lambda: has_libusb)
    with pytest.raises(MetadataUnavailable) as caught:
        with_metadata(b"", Description("m", "1", "", [], []))
    assert str(caught.value) == (
        "libusb-1.0.so.0: cannot open shared object file; "
        "apt install libusb-1.0-0, or pip install libusb-package"
    )


def test_library_when_libusb_is_pips_then_is_imported_after_it_is_loaded(monkeypatch, tmp_path):
    package = tmp_path / "libusb_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('only its file is wanted')")
    (package / "libusb-1.0.so").write_bytes(b"a shared object")
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = []
    monkeypatch.setattr(metadata.ctypes, "CDLL", loaded.append)

    def fail_at_first(module):
        if not loaded:
            raise ImportError("libusb-1.0.so.0")
        return builtins

    monkeypatch.setattr(importlib, "import_module", fail_at_first)
    assert metadata._imported("tensorflow_lite_support.anything") is builtins
    assert loaded == [str(package / "libusb-1.0.so")]
