"""Pictures sorted into folders by their class: `<class>/<picture>`, or the same in each split.

    animals/                           animals/
      cat/1.jpg  cat/2.jpg  ...          train/cat/1.jpg  train/dog/1.png  ...
      dog/1.png  ...                     eval/cat/2.jpg   ...               or val/
                                         test/dog/9.jpg   ...

A split that has a folder consists of that folder; the others are taken from `train`, or from all
pictures where there are no such folders, by a hash of the content. The classes are the sorted names
of the folders that the training pictures are in.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from components.example_gen.config import SPLITS, ImageFolderConfig
from components.example_gen.files import Entry, Files, open_files
from components.example_gen.row_source import RowSource
from components.example_gen.source import BadRow, DataError, Origin, Row

COLUMNS = ("image", "label")
HOME_OF_CIFAR10 = "https://www.cs.toronto.edu/~kriz/cifar.html"

_FOLDERS = {"train": "train", "eval": "eval", "val": "eval", "test": "test"}
"""The split that each folder holds."""

_SUFFIXES = (".jpg", ".jpeg", ".png")
_LAYOUT = "<class>/<picture>; or train/<class>/<picture>, and eval (or val) and test likewise"
_ALLOWED = (
    f"a folder, or a .tar of one, of {_LAYOUT}; CIFAR-10 itself is at {HOME_OF_CIFAR10}, and read "
    "by the sources cifar10_binary and cifar10_python"
)


class _Place(NamedTuple):
    """What a picture's path says about it."""

    split: str
    label: str


class _Layout(NamedTuple):
    """What there is, by the paths alone."""

    pictures: Mapping[str, _Place]
    """Place of each file, by its path; whether it is a picture only its content shows."""
    class_names: tuple[str, ...]


class ImageFolderSource(RowSource):
    """The pictures of an image folder, as they are encoded, and the names of their classes."""

    def __init__(self, config: ImageFolderConfig) -> None:
        self._path = config.path

    @property
    def columns(self) -> Sequence[str]:
        return COLUMNS

    @property
    def class_names(self) -> Sequence[str]:
        return self._layout.class_names

    def check(self) -> None:
        _ = self._layout

    def fingerprint(self) -> str:
        return self._files.fingerprint()

    def origins(self) -> Sequence[Origin]:
        return self._files.origins(sorted(self._layout.pictures), as_one=True)

    def row_counts(self) -> Mapping[Sequence[str], int]:
        return Counter(self._splits(place.split) for place in self._layout.pictures.values())

    def rows(self) -> Iterator[Row | BadRow]:
        from components.example_gen.images import ALLOWED, picture_fault

        pictures = self._layout.pictures
        for path, content in self._files.contents(pictures):
            if path.lower().endswith(_SUFFIXES):
                fault, allowed = picture_fault(content), ALLOWED
            else:
                fault, allowed = "another kind of file", " ".join(_SUFFIXES)
            if fault:
                yield BadRow(self._files.where(path), "image", fault, allowed)
                continue
            split, label = pictures[path]
            yield Row(self._splits(split), {"image": content, "label": label})

    @cached_property
    def _files(self) -> Files:
        return open_files(self._path, _ALLOWED)

    @cached_property
    def _layout(self) -> _Layout:
        return _layout(self._files)

    @cached_property
    def _train_splits(self) -> tuple[str, ...]:
        own = {place.split for place in self._layout.pictures.values()} - {"train"}
        return tuple(split for split in SPLITS if split not in own)

    def _splits(self, split: str) -> tuple[str, ...]:
        return self._train_splits if split == "train" else (split,)


def _layout(files: Files) -> _Layout:
    """Returns the pictures and the classes.

    Raises:
        DataError: at the first file or folder that has no place in the layout.
    """
    entries = list(files.entries())
    prefix = _prefix(entries)
    in_splits = bool(_tops(entries, prefix) & set(_FOLDERS))
    pictures: dict[str, _Place] = {}
    folders: dict[str, str] = {}
    classes: dict[_Place, str] = {}
    for entry in entries:
        parts = entry.path.removeprefix(prefix).split("/")
        if f"{entry.path}/" == prefix or (len(parts) == 1 and not entry.is_folder):
            continue  # the folder around it all; a README or a licence beside the folders
        if not in_splits:
            parts.insert(0, "train")
        split = _FOLDERS.get(parts[0])
        if split is None:
            found, allowed = f"a folder {parts[0]!r}", ", ".join(_FOLDERS)
            raise DataError.at(files.where(entry.path), found, allowed)
        if folders.setdefault(split, parts[0]) != parts[0]:
            raise DataError.at(files.where(entry.path), "both eval and val", "one of them")
        if len(parts) == 1:
            continue
        place = _Place(split, parts[1])
        if entry.is_folder and len(parts) == 2:
            classes.setdefault(place, entry.path)
        elif not entry.is_folder and len(parts) == 3:
            pictures[entry.path] = place
            classes.setdefault(place, entry.path.rpartition("/")[0])
        else:
            kind = "a folder" if entry.is_folder else "a file"
            raise DataError.at(files.where(entry.path), f"{kind} at this depth", _LAYOUT)
    filled = set(pictures.values())
    for place, path in classes.items():
        if place not in filled:
            raise DataError.at(files.where(path), "no pictures", "a picture or more in each class")
    return _Layout(pictures, _class_names(files, classes))


def _class_names(files: Files, classes: Mapping[_Place, str]) -> tuple[str, ...]:
    """Returns the sorted names of the classes of train, which those of the others are among.

    Raises:
        DataError: if there are fewer than two, two that look alike, or others elsewhere.
    """
    train = {place.label: path for place, path in classes.items() if place.split == "train"}
    if len(train) < 2:
        found = f"{len(train)} classes to train on"
        raise DataError.at(files.root, found, f"two or more, as {_LAYOUT}")
    alike: dict[str, str] = {}
    for name, path in train.items():
        if not name.isprintable():
            found = f"the class {name!a}"
            raise DataError.at(files.where(path), found, "a name that can be printed")
        # On a disk that ignores case, or composes letters otherwise, they are one folder.
        other = alike.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            raise DataError.at(files.where(path), f"the classes {other} and {name}", "one of them")
    for place, path in classes.items():
        if place.label not in train:
            allowed = f"the classes of train: {', '.join(sorted(train))}"
            raise DataError.at(files.where(path), f"a class {place.label!r}", allowed)
    return tuple(sorted(train))


def _prefix(entries: Sequence[Entry]) -> str:
    """Returns the path of the one folder that everything is in, as in an archive of a folder."""
    tops = _tops(entries)
    if len(tops) != 1 or tops & set(_FOLDERS):
        return ""
    prefix = f"{tops.pop()}/"
    return prefix if _tops(entries, prefix) else ""  # a class, where it holds no folders


def _tops(entries: Sequence[Entry], prefix: str = "") -> set[str]:
    """Returns the names of the folders that lie in the root, or in the folder of this path."""
    inside = [
        (entry.path.removeprefix(prefix).split("/"), entry.is_folder)
        for entry in entries
        if entry.path.startswith(prefix)
    ]
    return {parts[0] for parts, is_folder in inside if is_folder or len(parts) > 1}
