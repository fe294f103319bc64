"""Which callbacks a configuration makes."""

from __future__ import annotations

import re

import pytest

from trainer_module.callbacks import Callback, make_callbacks
from trainer_module.config import TrainConfig

OWN = """
from trainer_module.callbacks import Callback

class Mine(Callback):
    def __init__(self, size=1):
        self.size = size
"""


def _config(**keys: object) -> TrainConfig:
    return TrainConfig.model_validate({"epochs": 1, "batch_size": 32, **keys})


def _names(callbacks: list[Callback]) -> list[str]:
    return [type(callback).__name__ for callback in callbacks]


@pytest.fixture
def own_module(tmp_path, monkeypatch) -> str:
    (tmp_path / "my_callbacks.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_callbacks"


def test_make_callbacks_when_nothing_is_asked_for_then_makes_what_every_training_has(tmp_path):
    folder = tmp_path / "training"
    assert _names(make_callbacks(_config(), str(folder))) == ["Progress", "TensorBoard", "History"]
    assert list(folder.iterdir()) == [], "what writes is made when the training begins"


def test_make_callbacks_when_all_are_asked_for_then_makes_all(tmp_path, own_module):
    config = _config(
        plateau={},
        debug={"layer_report": True},
        callbacks={
            "early_stop": {},
            "stop_on_explosion": {"above": 10.0},
            "time_budget_minutes": 1.0,
            "csv": True,
            "own": [
                {"name": f"{own_module}.Mine"},
                {"name": f"{own_module}.Mine", "options": {"size": 3}},
            ],
        },
    )
    callbacks = make_callbacks(config, str(tmp_path / "training"))
    assert _names(callbacks) == [
        "Progress",
        "TensorBoard",
        "History",
        "CsvLog",
        "LayerReport",
        "Plateau",
        "EarlyStop",
        "TimeBudget",
        "Explosion",
        "Mine",
        "Mine",
    ]
    assert [callback.size for callback in callbacks[-2:]] == [1, 3]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"name": "nowhere.Mine"}, "train.callbacks.own.0.name: found 'nowhere.Mine'"),
        ({"name": "my_callbacks.Yours"}, "train.callbacks.own.0.name: found 'my_callbacks.Yours'"),
        (
            {"name": "collections.OrderedDict"},
            "train.callbacks.own.0.name: found 'collections.OrderedDict', which is "
            "<class 'collections.OrderedDict'>; allowed: the dotted path of a subclass of "
            "trainer_module.callbacks.Callback",
        ),
        (
            {"name": "my_callbacks.Mine", "options": {"weight": 1}},
            "train.callbacks.own.0.options: found {'weight': 1} (Mine.__init__() got an "
            "unexpected keyword argument 'weight'); allowed: arguments of "
            "my_callbacks.Mine",
        ),
    ],
)
def test_make_callbacks_when_an_own_one_is_none_then_names_the_key(
    tmp_path, own_module, own, message
):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        make_callbacks(_config(callbacks={"own": [own]}), str(tmp_path))
