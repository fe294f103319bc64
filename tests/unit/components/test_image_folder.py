"""Image folders: which picture falls where, and every way in which one can be laid out wrong."""

import pytest

from components.example_gen.config import ImageFolderConfig
from components.example_gen.image_folder import COLUMNS, ImageFolderSource
from components.example_gen.source import BadRow, DataError, Row

HASHED = ("train", "eval", "test")


def source(path):
    return ImageFolderSource(ImageFolderConfig(source="image_folder", path=str(path)))


def error(path):
    with pytest.raises(DataError) as caught:
        source(path).check()
    return str(caught.value)


@pytest.fixture
def tree(picture):
    return {
        "train/dog/1.png": picture(1),
        "train/dog/2.JPG": picture(2, "jpeg"),
        "train/cat/3.jpeg": picture(3, "jpeg"),
    }


@pytest.mark.parametrize("kind", ["folder", "data.tar", "data.tar.gz"])
def test_rows_when_read_then_are_the_pictures_as_they_are_and_their_classes(
    kind, tree, write_folder, write_tar
):
    found = source(write_folder(tree) if kind == "folder" else write_tar(tree, kind))
    found.check()
    assert found.columns == COLUMNS == ("image", "label")
    assert found.class_names == ("cat", "dog")
    rows = list(found.rows())
    assert sorted((row.features["image"], row.features["label"]) for row in rows) == sorted(
        (content, path.split("/")[1]) for path, content in tree.items()
    )
    assert {row.splits for row in rows} == {HASHED}
    assert found.row_counts() == {HASHED: 3}


@pytest.mark.parametrize(
    ("folders", "train_goes_to"),
    [
        ({"test": "test"}, ("train", "eval")),
        ({"eval": "eval"}, ("train", "test")),
        ({"val": "eval"}, ("train", "test")),
        ({"val": "eval", "test": "test"}, ("train",)),
    ],
)
def test_rows_when_a_split_has_a_folder_then_it_is_that_and_train_makes_up_the_others(
    folders, train_goes_to, tree, picture, write_tar
):
    own = {f"{folder}/cat/{folder}.png": picture(9) for folder in folders}
    found = source(write_tar({**tree, **own}))
    expected = {train_goes_to: 3} | {(split,): 1 for split in folders.values()}
    assert found.row_counts() == expected
    splits = [row.splits for row in found.rows()]
    assert {split: splits.count(split) for split in splits} == expected


def test_rows_when_an_archive_holds_one_folder_of_it_all_then_that_is_the_root(tree, write_tar):
    inside = {"animals": None, **{f"animals/{path}": file for path, file in tree.items()}}
    assert source(write_tar(inside)).class_names == ("cat", "dog")


def test_rows_when_files_lie_beside_the_splits_then_do_not_count(tree, write_folder):
    found = source(write_folder({**tree, "LICENSE": b"", "labels.csv": b"a,b"}))
    assert sum(found.row_counts().values()) == 3


@pytest.mark.parametrize("kind", ["folder", "data.tar"])
@pytest.mark.parametrize("around", ["", "animals/"])
def test_rows_when_there_are_no_folders_of_splits_then_all_are_hashed(
    around, kind, tree, write_folder, write_tar
):
    files = {around + path.removeprefix("train/"): file for path, file in tree.items()}
    files["README"] = b"about it"
    found = source(write_folder(files) if kind == "folder" else write_tar(files, kind))
    found.check()
    assert found.class_names == ("cat", "dog")
    assert sorted((row.features["label"], row.features["image"]) for row in found.rows()) == sorted(
        (path.split("/")[1], content) for path, content in tree.items()
    )
    assert found.row_counts() == {HASHED: 3}
    assert {row.splits for row in found.rows()} == {HASHED}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"no picture", "a file that starts with b'no pictu'"),
        (b"GIF89a" + bytes(50), "a file that starts with b'GIF89a\\x00\\x00'"),
        (b"BM" + bytes(50), "a file that starts with b'BM\\x00\\x00\\x00\\x00\\x00\\x00'"),
        (b"\xff\xd8\xff\xe0", "a picture that does not decode ("),
    ],
)
def test_rows_when_a_file_is_no_picture_then_is_a_bad_row_and_the_others_follow(
    content, found, tree, write_tar
):
    path = write_tar({"train/cat/0.jpg": content, **tree})
    data = source(path)
    data.check()
    bad, *rows = data.rows()
    assert isinstance(bad, BadRow)
    assert bad.where == f"{path}: train/cat/0.jpg"
    assert bad.column == "image"
    assert bad.found.startswith(found)
    assert bad.allowed == "a JPEG or PNG picture"
    assert [type(row) for row in rows] == [Row] * 3
    assert sum(data.row_counts().values()) == 4, "what is no picture counts until it is read"


@pytest.mark.parametrize("name", ["4.gif", "4.bmp", "4.webp", "Thumbs.db", "notes"])
def test_rows_when_a_file_is_named_otherwise_then_is_a_bad_row(name, tree, picture, write_folder):
    root = write_folder({**tree, f"train/cat/{name}": picture(4)})
    found = source(root)
    found.check()
    (bad,) = [row for row in found.rows() if isinstance(row, BadRow)]
    assert bad[:4] == (
        f"{root}/train/cat/{name}",
        "image",
        "another kind of file",
        ".jpg .jpeg .png",
    )


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_rows_when_a_picture_is_cut_short_then_is_a_bad_row(kind, tree, picture, write_tar):
    path = write_tar({**tree, "train/cat/4.jpg": picture(4, kind, 16)[:-20]})
    (bad,) = [row for row in source(path).rows() if isinstance(row, BadRow)]
    assert bad.where.endswith("train/cat/4.jpg")
    assert bad.found.startswith("a picture that does not decode (")
    assert "\n" not in bad.found


LAYOUT = "<class>/<picture>; or train/<class>/<picture>, and eval (or val) and test likewise"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"extras/cat/4.png": b"x"}, "extras: a folder 'extras'; allowed: train, eval, val, test"),
        ({"train/4.png": b"x"}, f"train/4.png: a file at this depth; allowed: {LAYOUT}"),
        ({"train/cat/x": None}, f"train/cat/x: a folder at this depth; allowed: {LAYOUT}"),
        ({"train/ape": None}, "train/ape: no pictures; allowed: a picture or more in each class"),
        ({"test/ape": None}, "test/ape: no pictures; allowed: a picture or more in each class"),
        ({"test/ape/4.png": b"x"}, "test/ape: a class 'ape'; allowed: the classes of train: cat,"),
        ({"eval/cat/4.png": b"x", "val/cat/4.png": b"x"}, "val: both eval and val; allowed: one"),
        ({"train/Cat/4.png": b"x"}, "the classes "),
        ({"train/o\u0308/4.png": b"x", "train/\u00f6/4.png": b"x"}, "the classes "),
        ({"train/a\nb/4.png": b"x"}, "the class 'a\\nb'; allowed: a name that can be printed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_check_when_the_layout_is_wrong_then_names_the_place(change, problem, tree, write_folder):
    root = write_folder({**tree, **change})
    found = error(root)
    assert found.startswith(f"{root}/")
    assert problem in found


@pytest.mark.parametrize(
    ("path", "count"),
    [("test/cat/1.png", 0), ("train/cat/1.png", 1), ("cat/1.png", 1), ("a/cat/1.png", 1), ("x", 0)],
)
def test_check_when_there_are_not_two_classes_then_says_how_many(path, count, write_folder):
    root = write_folder({path: b"x"})
    assert error(root).startswith(f"{root}: {count} classes to train on; allowed: two or more")


def test_check_when_there_is_nothing_then_says_what_should_be_and_where_cifar10_is(tmp_path):
    path = tmp_path / "nowhere"
    found = error(path)
    assert found.startswith(f"{path}: no such file or folder; allowed: a folder, or a .tar of one")
    assert LAYOUT in found
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in found


def test_fingerprint_when_a_picture_is_added_then_is_another(tree, picture, write_folder):
    root = write_folder(tree)
    before = source(root).fingerprint()
    (root / "train/dog/5.png").write_bytes(picture(5))
    assert source(root).fingerprint() != before
