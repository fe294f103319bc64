"""Pictures as rows: encoded for a model that decodes, pixels for one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config_file import ConfigError
from pipeline.predict.image_rows import ImageRows

ENCODED = ("object", [None])
PIXELS = ("float32", [None, 4, 6, 3])


@pytest.fixture
def folder(tmp_path, picture):
    for path, content in {
        "b/2.JPG": picture("JPEG"),
        "a/1.png": picture("PNG"),
        "b/notes.txt": b"text",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path


def test_pictures_when_the_model_decodes_then_go_as_they_are(folder, spec) -> None:
    rows = ImageRows([str(folder)])

    read = list(rows.read(spec(image=ENCODED)))

    paths = [folder / "a" / "1.png", folder / "b" / "2.JPG"]
    assert rows.total == 2
    assert [row.features["image"] for row in read] == [path.read_bytes() for path in paths]
    assert [row.shown for row in read] == [{"file": str(path)} for path in paths]


def test_pictures_when_the_model_takes_pixels_then_decoded(folder, spec) -> None:
    rows = list(ImageRows([str(folder / "a" / "1.png")]).read(spec(image=PIXELS)))
    assert rows[0].features["image"].shape == (4, 6, 3)
    assert (rows[0].features["image"] == [10, 20, 30]).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([None, 4, 6, 1], (4, 6, 1)),
        ([None, 4, 6], (4, 6)),
        ([None, None, None, 3], (4, 6, 3)),
        ([None, 4, 6, 4], (4, 6, 4)),
    ],
)
def test_pictures_when_the_model_takes_another_form_then_made_that(
    folder, spec, shape, expected
) -> None:
    (row,) = ImageRows([str(folder / "a" / "1.png")]).read(spec(image=("uint8", shape)))
    assert row.features["image"].shape == expected
    assert row.features["image"].dtype == np.uint8


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ([None, 4, 5, 3], "image: found a picture 4 high and 6 wide; allowed: 4 high and 5 wide"),
        ([None, 8, None, 3], "image: found a picture 4 high and 6 wide; allowed: 8 high and any"),
        ([None, 64], r"image: found a picture; allowed: for this input: float32 of shape \[\?, 64"),
        ([None, 4, 6, 2], "image: found a picture; allowed: for this input"),
    ],
)
def test_picture_when_it_does_not_fit_then_says_what_does(folder, spec, shape, error) -> None:
    with pytest.raises(ConfigError, match=f"1.png: {error}"):
        list(ImageRows([str(folder / "a" / "1.png")]).read(spec(image=("float32", shape))))


def test_picture_when_it_is_none_then_refused_before_it_is_sent(tmp_path, spec, picture) -> None:
    (tmp_path / "text.png").write_bytes(b"text, not a picture")
    (tmp_path / "cut.png").write_bytes(picture("PNG")[:45])
    with pytest.raises(ConfigError, match=r"text.png: ROWS: found a file that starts with b'text"):
        list(ImageRows([str(tmp_path / "text.png")]).read(spec(image=ENCODED)))
    with pytest.raises(ConfigError, match=r"nowhere.png: ROWS: found No such file or directory"):
        list(ImageRows([str(tmp_path / "nowhere.png")]).read(spec(image=ENCODED)))
    with pytest.raises(ConfigError, match=r"cut.png: image: found a picture that does not decode"):
        list(ImageRows([str(tmp_path / "cut.png")]).read(spec(image=PIXELS)))


def test_pictures_when_there_are_none_then_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"ROWS: found a folder without pictures; allowed: a fol"):
        ImageRows([str(tmp_path)])


def test_pictures_when_the_model_takes_more_than_one_input_then_refused(folder, spec) -> None:
    with pytest.raises(ConfigError, match="found a signature with the inputs a, b; allowed: a sig"):
        list(ImageRows([str(folder)]).read(spec(a=ENCODED, b=ENCODED)))
