"""Files under a root: a folder and an archive of it look the same, and neither leads out of it."""

import os
import tarfile

import pytest

from components.example_gen.files import Entry, open_files
from components.example_gen.source import DataError

TREE = {"b/2.txt": b"two", "a/1.txt": b"one", "a/empty": None, "note": b""}
EVERY = ["a/1.txt", "b/2.txt"]


def listed(path):
    return sorted(open_files(str(path), "a tree").entries())


def error(path):
    with pytest.raises(DataError) as caught:
        files = open_files(str(path), "a tree")
        list(files.entries())
        list(files.contents(EVERY))
    return str(caught.value)


def test_entries_when_of_a_folder_then_are_its_files_and_folders_by_relative_path(write_folder):
    assert listed(write_folder(TREE)) == [
        Entry("a", True, 0),
        Entry("a/1.txt", False, 3),
        Entry("a/empty", True, 0),
        Entry("b", True, 0),
        Entry("b/2.txt", False, 3),
        Entry("note", False, 0),
    ]


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz"])
def test_entries_when_of_an_archive_then_are_its_members(name, write_tar):
    assert listed(write_tar({f"./{path}": content for path, content in TREE.items()}, name)) == [
        Entry("a/1.txt", False, 3),
        Entry("a/empty", True, 0),
        Entry("b/2.txt", False, 3),
        Entry("note", False, 0),
    ]


def test_entries_when_names_start_with_a_dot_then_are_left_out(write_folder, write_tar):
    tree = {".DS_Store": b"x", "a/._1.txt": b"x", ".git/a/1.txt": b"x", "a/1.txt": b"one"}
    assert listed(write_folder(tree)) == [Entry("a", True, 0), Entry("a/1.txt", False, 3)]
    assert listed(write_tar(tree)) == [Entry("a/1.txt", False, 3)]


@pytest.mark.parametrize("name", ["folder", "data.tar", "data.tar.gz"])
def test_contents_when_read_then_are_those_that_are_wanted(name, write_folder, write_tar):
    root = write_folder(TREE) if name == "folder" else write_tar(TREE, name)
    files = open_files(str(root), "a tree")
    assert dict(files.contents(EVERY)) == {"a/1.txt": b"one", "b/2.txt": b"two"}
    assert dict(files.contents({"b/2.txt"})) == {"b/2.txt": b"two"}


def test_archive_when_read_then_nothing_is_written(write_tar, tmp_path):
    files = open_files(str(write_tar(TREE)), "a tree")
    dict(files.contents(EVERY))
    assert [path.name for path in tmp_path.iterdir()] == ["data.tar"]


def test_folder_when_files_are_links_then_are_followed(write_folder, tmp_path):
    outside = write_folder({"1.txt": b"one"}, "outside")
    root = write_folder({"b/2.txt": b"two"})
    (root / "a").symlink_to(outside)
    assert dict(open_files(str(root), "").contents(EVERY)) == {"a/1.txt": b"one", "b/2.txt": b"two"}


def test_folder_when_a_link_leads_back_up_then_the_listing_ends(write_folder):
    root = write_folder({"a/1.txt": b"one"})
    (root / "a" / "again").symlink_to(root)
    assert len(listed(root)) < 20


def test_open_when_there_is_nothing_then_names_the_path(tmp_path):
    path = tmp_path / "nowhere"
    assert error(path) == f"{path}: no such file or folder; allowed: a tree"


def test_open_when_the_path_starts_with_a_tilde_then_is_under_home(write_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(write_folder(TREE).parent))
    assert len(listed("~/data")) == 6


def test_open_when_the_file_is_no_archive_then_names_it(tmp_path):
    path = tmp_path / "data.tar"
    path.write_bytes(b"no archive at all" * 100)
    assert error(path).startswith(f"{path}: no tar archive that can be read to its end (")
    assert error(path).endswith("; allowed: a tree")


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz"])
def test_archive_when_it_is_cut_short_then_names_it(name, write_tar):
    path = write_tar({"a/1.txt": os.urandom(5000), "b/2.txt": os.urandom(5000)}, name)
    path.write_bytes(path.read_bytes()[:8000])
    assert error(path).startswith(f"{path}: no tar archive that can be read to its end (")


@pytest.mark.parametrize("member", ["../1.txt", "/a/1.txt", "a/../../1.txt"])
def test_archive_when_a_path_leads_out_of_it_then_refuses(member, write_tar):
    path = write_tar({member: b"one"})
    assert error(path) == f"{path}: {member}: a path out of it; allowed: paths inside it"


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.FIFOTYPE, "a special file"),
        (tarfile.CHRTYPE, "a special file"),
    ],
)
def test_archive_when_a_member_is_no_plain_file_then_refuses(kind, found, write_tar):
    header = tarfile.TarInfo("a/1.txt")
    header.type, header.linkname = kind, "/etc/passwd"
    path = write_tar({"a/1.txt": header})
    assert error(path) == f"{path}: a/1.txt: {found}; allowed: files and folders"


def test_archive_when_a_file_is_there_twice_then_names_it(write_tar):
    path = write_tar([("a/1.txt", b"one"), ("./a/1.txt", b"two")])
    assert error(path) == f"{path}: a/1.txt: it twice; allowed: each file once"


def test_folder_when_a_link_leads_nowhere_then_names_it(write_folder):
    root = write_folder(TREE)
    (root / "a" / "3.txt").symlink_to("nowhere")
    found = "No such file or directory; allowed: what can be read"
    assert error(root) == f"{root}/a/3.txt: {found}"


@pytest.mark.parametrize("change", ["content", "time", "name", "more"])
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_fingerprint_when_the_files_change_then_is_another(kind, change, write_folder, write_tar):
    def write(tree):
        return write_folder(tree) if kind == "folder" else write_tar(tree)

    path = write(TREE)
    file = path / "a/1.txt" if kind == "folder" else path
    os.utime(file, ns=(10**18, 10**18))
    before = open_files(str(path), "").fingerprint()
    assert open_files(str(path), "").fingerprint() == before

    if change == "time":
        os.utime(file, ns=(10**18, 10**18 + 1))
    elif change == "content":
        write({**TREE, "a/1.txt": b"three" * 4000})
        os.utime(file, ns=(10**18, 10**18))
    elif change == "name" and kind == "folder":
        (path / "b/2.txt").rename(path / "b/3.txt")
    else:
        write({**TREE, "c/4.txt": b"four" * 4000})
    assert open_files(str(path), "").fingerprint() != before
