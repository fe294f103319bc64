from dataclasses import fields

from serving.server.flags import parse_flags
from serving.server.manager import ManagerOptions
from serving.server.worker import manager_options

OTHER_NAMES = {"batching": "enable_batching", "warmup": "enable_model_warmup"}
OTHER_NAMES["per_model_batching"] = "enable_per_model_batching_parameters"
NOT_FLAGS = {"call_threads"}


def test_the_options_of_models_when_set_by_flags_then_none_is_left_at_its_default():
    usual, given = ManagerOptions(), ["--model_base_path=/m"]
    names = {field.name for field in fields(ManagerOptions)} - NOT_FLAGS
    for name in names:
        flag = OTHER_NAMES.get(name, name)
        is_switch = isinstance(getattr(usual, name), bool) or name == "batching"
        given.append(f"--no{flag}" if getattr(usual, name) is True else f"--{flag}")
        given[-1] += "" if is_switch else "=77"
    found = manager_options(parse_flags(given))
    unset = {name for name in names if getattr(found, name) == getattr(usual, name)}
    assert not unset
