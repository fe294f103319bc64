"""Pickles of arrays: those of every Python and NumPy are read, and nothing that they say is run."""

import os
import pickle

import numpy as np
import pytest

from components.example_gen.pickled import PickleError, bytes_array, load

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def python2(names, pixels):
    """A dict of names and an array as Python 2 and its NumPy write it, in protocol 2."""
    rows, columns = pixels.shape
    texts = b"".join(b"U" + bytes([len(name)]) + name for name in names)
    return (
        b"\x80\x02}q\x01(U\x05namesq\x02](" + texts + b"e"
        b"U\x04dataq\x03cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05"
        b"K\x00\x85q\x06U\x01bq\x07\x87q\x08Rq\x09(K\x01K" + bytes([rows]) + b"K" + bytes([columns])
        + b"\x86q\x0acnumpy\ndtype\nq\x0bU\x02u1q\x0cK\x00K\x01\x87q\x0dRq\x0e"
        b"(K\x03U\x01|q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x10b\x89"
        b"U" + bytes([pixels.size]) + pixels.tobytes() + b"q\x11tq\x12bu."
    )  # fmt: skip


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("order", ["C", "F"])
def test_array_when_pickled_by_any_protocol_then_is_the_same(order, protocol):
    content = {b"data": np.asarray(PIXELS, order=order), "labels": [6, 9, 300], b"n": [b"a"]}
    found = load(pickle.dumps(content, protocol=protocol))
    np.testing.assert_array_equal(bytes_array(found[b"data"]), PIXELS)
    assert (found["labels"], found[b"n"]) == ([6, 9, 300], [b"a"])


def test_array_when_pickled_by_numpy_2_then_is_the_same():
    for protocol in (0, 5):
        content = pickle.dumps({b"data": PIXELS}, protocol=protocol, fix_imports=False)
        renamed = content.replace(b"numpy.core.", b"numpy._core.").replace(
            b"\x8c\x12numpy._core", b"\x8c\x13numpy._core"
        )
        assert b"numpy._core" in renamed
        if protocol == 5:  # the frame has grown by the letter
            size = int.from_bytes(renamed[3:11], "little") + 1
            renamed = renamed[:3] + size.to_bytes(8, "little") + renamed[11:]
        np.testing.assert_array_equal(bytes_array(load(renamed)[b"data"]), PIXELS)


def test_array_when_pickled_by_python_2_then_is_the_same_and_texts_are_bytes():
    content = python2([b"cat", b"caf\xe9"], PIXELS)
    assert list(pickle.loads(content, encoding="bytes")) == [b"names", b"data"]
    found = load(content)
    assert found[b"names"] == [b"cat", b"caf\xe9"]
    np.testing.assert_array_equal(bytes_array(found[b"data"]), PIXELS)


class Calls:
    """Pickled as the call of a function."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda mark: Calls(os.system, f"touch {mark}"), "posix.system"),
        (lambda mark: Calls(exec, f"open({str(mark)!r}, 'w')"), "exec"),
        (lambda mark: Calls(eval, f"open({str(mark)!r}, 'w')"), "eval"),
        (lambda mark: Calls(np.save, str(mark), 1), "numpy.save"),
        (lambda mark: Calls(np.memmap, str(mark), "u1", "w+", 0, (1,)), "numpy.memmap"),
        (lambda mark: Calls(getattr, os, "system"), "getattr"),
    ],
)
def test_load_when_a_pickle_would_run_something_then_nothing_runs_and_it_is_named(
    call, name, protocol, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    if name == "getattr":  # a module itself cannot be pickled
        content = b"cbuiltins\ngetattr\n(cposix\nsystem\nVx\ntR."
    else:
        content = pickle.dumps({"data": call(tmp_path / "mark")}, protocol=protocol)
    with pytest.raises(PickleError) as caught:
        load(content)
    assert f"{name}', which is not run" in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no pickle", id="text"),
        pytest.param(pickle.dumps({"data": PIXELS})[:-30], id="cut short"),
        pytest.param(b"\x80\x02X\xff\xff\xff\x7fab.", id="longer than it is"),
        pytest.param(b"\x80\x63N.", id="unknown protocol"),
        pytest.param(b"\x80\x02Nr\xff\xff\xff\xff.", id="a table of 32 GB"),
        pytest.param(b"Np4000000000\n.", id="a table of 32 GB, as text"),
        pytest.param(b"Pid\n.", id="persistent id"),
        pytest.param(b"\x80\x02\x82\x01.", id="extension"),
        pytest.param(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.", id="another encoding"),
        pytest.param(b"cnumpy\ndtype\nN}Va\nI1\nsb.", id="state for a name"),
        pytest.param(b"cnumpy\ndtype\n}Va\nI1\nsb.", id="attributes for a name"),
        pytest.param(b"\x80\x02cnumpy\nndarray\n)\x81.", id="a class of a name"),
    ],
)
def test_load_when_it_is_damaged_or_hostile_then_says_so(content):
    with pytest.raises(PickleError):
        load(content)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "a list that is no array"),
        (PIXELS.astype(np.int64), "an array of other than uint8"),
        (PIXELS.astype(object), "an array of other than uint8"),
        (np.uint8(3), None),
        (np.dtype("u1"), "a Call that is no array"),
    ],
    ids=str,
)
def test_array_when_it_is_another_thing_then_says_what(value, message):
    with pytest.raises(PickleError, match=message):
        bytes_array(load(pickle.dumps(value, protocol=2)))


def test_array_when_its_shape_is_not_that_of_its_bytes_then_says_so_and_takes_no_memory():
    content = python2([b"a"], PIXELS)
    grown = content.replace(b"K\x03K\x04\x86", b"K\x03\x8a\x07\x00\x00\x00\x00\x00\x00\x10\x86")
    assert grown != content
    with pytest.raises(PickleError, match=r"12 bytes for an array \[3, 4503599627370496\]"):
        bytes_array(load(grown)[b"data"])
    negative = content.replace(b"K\x03K\x04\x86", b"K\x03J\xfc\xff\xff\xff\x86")
    with pytest.raises(PickleError, match="other than uint8"):
        bytes_array(load(negative)[b"data"])
