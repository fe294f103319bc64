"""What the tests of `components` share: artifacts of TFX with a place on the disk."""

import pytest


@pytest.fixture
def artifact(tmp_path):
    """Makes an artifact with an id and an empty folder of its own."""

    def make(artifact_class, artifact_id=0, **custom_properties):
        made = artifact_class()
        made.id = artifact_id
        folder = tmp_path / f"{artifact_class.TYPE_NAME}-{artifact_id}"
        folder.mkdir()
        made.uri = str(folder)
        for name, value in custom_properties.items():
            made.set_int_custom_property(name, value)
        return made

    return make
