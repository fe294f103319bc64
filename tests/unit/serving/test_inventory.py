"""What the directory tells of itself: versions, labels, what answers by default."""

import pytest

from serving.inventory import default_version, default_warning, list_versions
from serving.operations import promote, rollback


def test_inventory_when_asked_then_tells_of_each_version(push_version, base, root, waits):
    push_version(1), push_version(2)
    card = base / "2" / "assets.extra" / "model_card.json"
    card.write_text('{"metrics": {"class/accuracy": 0.97, "text": "x", "nan": NaN, "on": true}}')
    (base / "3").mkdir()
    rollback(base)
    promote(base, 2, "canary")

    first, second, third = list_versions(base)

    assert (first.version, first.labels, first.is_served, first.is_default) == (
        1, ["stable"], True, False,
    )  # fmt: skip
    assert (second.labels, second.is_served, second.is_default) == (["canary"], True, True)
    assert second.metrics == {"class/accuracy": 0.97}
    assert (first.metrics, first.is_complete, third.is_complete) == ({}, True, False)
    assert len(first.digest) == 64 and first.digest != second.digest
    assert third.digest is None
    assert first.size_bytes == sum(p.stat().st_size for p in first.folder.rglob("*") if p.is_file())
    assert first.pushed.endswith("+00:00")
    assert default_version(base) == base / "2"


@pytest.mark.parametrize("card", ["", "[]", '{"metrics": [1]}', "{}", "null", '{"metrics": null}'])
def test_inventory_when_the_model_card_is_another_then_there_are_no_metrics(
    push_version, base, card
):
    push_version(1)
    (base / "1" / "assets.extra" / "model_card.json").write_text(card)
    (info,) = list_versions(base)
    assert info.metrics == {}


def test_default_version_when_rolled_back_then_is_not_the_newest(three, base, waits):
    assert default_version(base) == base / "3"
    rollback(base)
    assert default_version(base) == base / "2"


def test_default_version_when_no_models_config_names_the_folder_then_is_the_newest(
    tmp_path, write_plain_model
):
    for version in (9, 10):
        write_plain_model(tmp_path / "m" / str(version), "x")
    assert default_version(tmp_path / "m") == tmp_path / "m" / "10"
    assert default_version(tmp_path / "empty") is None


def test_default_warning_when_the_stable_version_is_the_largest_then_there_is_none():
    assert default_warning({"stable": 3, "canary": 2}, [2, 3]) is None
    assert default_warning({}, [3]) is None
