"""The graph of a run: what its nodes are given, by which the cache tells what has changed."""

from __future__ import annotations

import json

import pytest

from pipeline.config_file import load_config


@pytest.fixture
def pictures(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "data" / "train" / name).mkdir(parents=True)
        (tmp_path / "data" / "train" / name / "1.png").write_bytes(b"as good as any")
    return tmp_path / "data"


def parameters(component):
    """What the cache compares of a node, besides its inputs, before a driver has run."""
    from tfx.utils import json_utils

    return json_utils.dumps(dict(component.exec_properties))


@pytest.fixture
def graph(repository, tmp_path, monkeypatch):
    """Returns the components of the ready digits job under overrides, by their ids."""
    from pipeline.graph import build_pipeline
    from trainer_module.tasks import make_task

    monkeypatch.chdir(tmp_path)

    def build(*overrides, to_gate=False):
        config = load_config(str(repository / "configs" / "digits.yaml"), overrides)
        components = build_pipeline(config, make_task(config.task), to_gate).components
        return {component.id: component for component in components}

    return build


def test_graph_has_nothing_that_learns_from_data_before_the_gate(graph):
    def upstream(node):
        return {node.id}.union(*(upstream(found) for found in node.upstream_nodes))

    nodes = graph("train.warm_start=true", "lite={variants: [float32]}")
    before = {name for name, node in nodes.items() if "AnomalyGate" not in upstream(node)}
    assert before == {
        *("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "AcceptedData"),
        "WarmStart",  # looks up a model that is there already
    }


def test_graph_when_to_the_gate_then_ends_there_and_is_the_same_to_the_cache(graph):
    whole, part = graph(), graph(to_gate=True)
    assert set(part) == {
        *("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator"),
        *("AcceptedData", "AnomalyGate"),
    }
    for name, component in part.items():
        assert parameters(component) == parameters(whole[name])


def test_graph_when_a_schema_is_given_then_it_is_what_schema_gen_puts_out(graph, tmp_path):
    from components.schema_file.component import SchemaFile

    path = tmp_path / "s.pbtxt"

    def properties(text):
        path.write_text(text)
        nodes = graph("schema.path=s.pbtxt")
        assert isinstance(nodes["SchemaGen"], SchemaFile)
        assert nodes["AnomalyGate"].exec_properties["is_reviewed"] == 1
        return dict(nodes["SchemaGen"].exec_properties)

    first = properties('feature { name: "digit" }')
    assert properties('feature { name: "digit" }') == first
    assert properties('feature { name: "digit" type: INT }') != first
    assert graph()["AnomalyGate"].exec_properties["is_reviewed"] == 0


def test_graph_when_only_a_part_of_the_data_is_read_then_the_gate_compares_among_such(graph):
    scopes = [
        graph(*overrides)["AnomalyGate"].exec_properties["scope"]
        for overrides in ((), ("data.limit=500",), ("data.splits={train: 80, eval: 10, test: 10}",))
    ]
    assert scopes[0] != scopes[1]
    assert scopes[0] == scopes[2]


def test_graph_when_lite_is_null_then_has_the_nodes_as_ever_and_else_one_more(
    repository, tmp_path, monkeypatch
):
    from pipeline.graph import build_pipeline
    from trainer_module.tasks import make_task

    monkeypatch.chdir(tmp_path)

    def nodes(*overrides):
        config = load_config(str(repository / "configs" / "digits.yaml"), overrides)
        components = build_pipeline(config, make_task(config.task)).components
        return {component.id: component for component in components}

    without, with_lite = nodes(), nodes("lite={variants: [float32, int8]}")
    assert set(without) == {
        *("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Transform"),
        *("AcceptedData", "AnomalyGate"),
        *("Trainer", "Baseline", "Evaluator", "Pusher"),
    }
    assert set(with_lite) == {*without, "TFLiteExport"}
    for name, component in without.items():
        assert parameters(with_lite[name]) == parameters(component)
    upstream = {node.id for node in with_lite["TFLiteExport"].upstream_nodes}
    assert upstream == {"ExampleGen", "Trainer", "Evaluator", "Pusher"}


@pytest.mark.parametrize("sparse", [False, True])
def test_graph_when_a_task_has_sparse_inputs_or_options_then_schema_and_transform_know(
    sparse, repository, tmp_path, monkeypatch
):
    from pipeline.graph import build_pipeline
    from trainer_module.tasks.digits import Digits

    class Own(Digits):
        """What the task says goes to Transform; what the run says goes before it."""

        sparse_inputs = sparse

        def transform_options(self):
            return {"bins": 3, "edges": [0.5]}

    monkeypatch.chdir(tmp_path)
    config = load_config(
        str(repository / "configs" / "digits.yaml"), ["transform.options={bins: 4}"]
    )
    components = {
        component.id: dict(component.exec_properties)
        for component in build_pipeline(config, Own()).components
    }
    assert components["SchemaGen"]["infer_feature_shape"] == (not sparse)
    options = json.loads(components["Transform"]["custom_config"])["options"]
    assert options == {"bins": 4, "edges": [0.5]}


def test_graph_when_the_task_says_what_it_reads_then_the_gate_knows_with_the_columns_of_slices(
    pictures, repository, tmp_path, monkeypatch
):
    from pipeline.graph import GATE, build_pipeline
    from trainer_module.tasks import make_task

    monkeypatch.chdir(tmp_path)

    def columns(*overrides):
        path = str(repository / "configs" / "cifar10.yaml")
        config = load_config(path, [f"data.path={pictures}", *overrides])
        components = build_pipeline(config, make_task(config.task)).components
        (gate,) = [component for component in components if component.id == GATE]
        return json.loads(gate.exec_properties["task"])["columns"]

    assert columns() == ["image", "label"]
    assert columns("evaluate.slices=[camera]") == ["camera", "image", "label"]


def test_graph_when_the_task_does_not_say_what_it_reads_then_the_gate_takes_it_for_all(graph):
    from pipeline.graph import GATE

    assert json.loads(graph()[GATE].exec_properties["task"])["columns"] is None


def test_graph_when_a_model_is_not_blessed_then_nothing_leaves_the_pipeline(
    repository, tmp_path, monkeypatch
):
    from pipeline.compiler import compile_pipeline
    from trainer_module.tasks import make_task

    monkeypatch.chdir(tmp_path)
    path = str(repository / "configs" / "digits.yaml")
    config = load_config(path, ["lite={variants: [float32]}"])
    nodes = [node.pipeline_node for node in compile_pipeline(config, make_task(config.task)).nodes]
    held = {node.node_info.id for node in nodes if node.inputs.conditionals}
    assert held == {"Pusher", "TFLiteExport"}
    # Two names of one artifact would come and go in the lineage.
    pusher = next(node for node in nodes if node.node_info.id == "Pusher")
    (condition,) = pusher.inputs.conditionals.values()
    assert 'key: "model_blessing"' in str(condition)
    assert not [name for name in pusher.inputs.inputs if name.startswith("_")]
