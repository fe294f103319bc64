"""A table of one's own: from a CSV to a served model, no edit, in whatever order it comes."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

HEADER = ["größe (cm)", "kind", "note", "when", "tips", "fare", "user"]
ROWS = 900
SET = ("--set", "train.epochs=3", "--set", "serve.keep_versions=2")


def table() -> list[list[str]]:
    """Rows with numbers, categories, prose over several lines, times and cells without a value."""
    draw = random.Random(0)
    rows = []
    for number in range(ROWS):
        size = draw.gauss(170, 10)
        kind = draw.choice(["card", "cash", "müsli, loose"])
        fare = round(draw.uniform(3, 40), 2)
        share = 0.25 if kind == "card" and size > 168 else 0.1
        note = f'{draw.choice(["late", "early"])} ride\nsaid "{kind}" to driver {number}'
        rows.append(
            [
                f"{size:.3f}" if draw.random() > 0.1 else "",
                kind,
                note,
                str(1_400_000_000 + 3600 * draw.randrange(20_000)),
                f"{fare * share:.2f}",
                f"{fare:.2f}",
                f"user-{number}",
            ]
        )
    return rows


def write_csv(path: Path, rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rows as one file, and three bad ones among them."""
    folder = tmp_path_factory.mktemp("own_data")
    rows = table()
    write_csv(folder / "rides.csv", rows)
    bad = (
        b"x,card,note,1400000000,1.00,5.00,user-a\n170,card,too few\n171,c\xff,n,1400000000,1,5,u\n"
    )
    with (folder / "rides.csv").open("ab") as file:
        file.write(bad)
    shuffled = random.Random(1).sample(rows, len(rows))
    for number in range(3):
        write_csv(folder / "parts" / f"{number}.csv", shuffled[number::3])
    return folder


@pytest.fixture(scope="module")
def started(folder: Path, tapeline):
    """What `tapeline init` made of the file."""
    done = tapeline(
        "init", "--data", "rides.csv", "--label", "tips > 0.2 * fare", "-o", "rides.yaml",
        cwd=folder,
    )  # fmt: skip
    assert done.code == 0, done
    return done


@pytest.fixture(scope="module")
def run(started, folder: Path, cold_tapeline):
    return cold_tapeline("run", "rides.yaml", "--json", *SET, cwd=folder)


@pytest.fixture(scope="module")
def shuffled_run(run, folder: Path, tapeline):
    """The same good rows in another order and three files, in a pipeline of its own."""
    return tapeline(
        "run", "rides.yaml", "--json", *SET, "--set", "data.path=parts", "--set", "root=other",
        cwd=folder,
    )  # fmt: skip


def test_init_when_it_has_looked_then_says_what_it_found_and_leaves_out(started, folder):
    config = yaml.safe_load((folder / "rides.yaml").read_text())
    assert config["data"]["label_expression"] == "tips > 0.2 * fare"
    assert config["data"]["bad_rows"] == "quarantine"
    features = config["task"]["options"]["features"]
    assert features["kind"] == {"kind": "categorical", "top_k": 8}
    assert features["note"]["kind"] == "text"
    assert features["when"]["kind"] == "date"
    assert "user" not in features
    assert "user: another value in almost every row" in started.stderr
    assert "3 rows that cannot be used" in started.stderr
    assert "rides.csv: line" in started.stderr


def test_run_when_the_configuration_is_as_init_wrote_it_then_a_model_is_pushed(run):
    assert run.code == 0, run
    assert run.summary["status"] == "pushed"
    assert run.summary["metrics"]["label/auc"] > 0.8


def test_run_when_rows_are_bad_then_all_rows_are_accounted_for(run):
    aside = run.summary["quarantined"]
    assert aside["rows"] == 3
    assert sum(run.summary["rows"].values()) == ROWS
    lines = [
        json.loads(line)
        for path in sorted(Path(aside["folder"]).iterdir())
        for line in path.read_text().splitlines()
    ]
    assert [(row["column"], row["found"]) for row in lines] == [
        ("", "3 cells"),
        ("kind", r"b'c\xff'"),
        ("größe (cm)", "'x'"),
    ]


def test_run_when_rows_come_in_another_order_and_more_files_then_weights_are_the_same_bits(
    run, shuffled_run, serving_weights, assert_same_bits
):
    assert shuffled_run.code == 0, shuffled_run
    assert shuffled_run.summary["rows"] == run.summary["rows"]
    assert_same_bits(
        serving_weights(shuffled_run.summary["servable"]), serving_weights(run.summary["servable"])
    )
    assert shuffled_run.summary["metrics"] == run.summary["metrics"]


def artifact_folders(root: Path, *parts: str) -> list[Path]:
    return sorted(root.joinpath("rides", "artifacts", *parts).glob("*"))


def records(folder: Path) -> Iterator[bytes]:
    import tensorflow as tf

    for path in sorted(folder.glob("*.gz")):
        for record in tf.compat.v1.io.tf_record_iterator(
            str(path), tf.io.TFRecordOptions(compression_type="GZIP")
        ):
            example = tf.train.Example.FromString(record)
            yield example.SerializeToString(deterministic=True)


def test_transform_when_rows_come_in_another_order_then_rows_and_vocabularies_are_the_same(
    run, shuffled_run, folder
):
    found = []
    for root in (folder / "runs", folder / "other"):
        (examples,) = artifact_folders(root, "Transform", "transformed_examples")
        (graph,) = artifact_folders(root, "Transform", "transform_graph")
        vocabularies = {
            path.name: path.read_bytes() for path in (graph / "transform_fn" / "assets").iterdir()
        }
        splits = {
            split: sorted(records(examples / f"Split-{split}")) for split in ("train", "eval")
        }
        found.append((splits, vocabularies))
    assert found[0] == found[1]
    assert len(found[0][0]["train"]) > 500
    assert found[0][1]


def test_served_graph_when_asked_about_raw_rows_then_gives_the_features_of_the_training(
    run, folder
):
    import tensorflow as tf

    (raw,) = artifact_folders(folder / "runs", "ExampleGen", "examples")
    (transformed,) = artifact_folders(folder / "runs", "Transform", "transformed_examples")
    examples = list(records(raw / "Split-train"))[:500]
    assert len(examples) == 500
    model = tf.saved_model.load(run.summary["servable"])
    served = model.signatures["transform_features"](examples=tf.constant(examples))
    names = sorted(served)
    trained = {
        tuple(_values(tf.train.Example.FromString(record), name) for name in names)
        for record in records(transformed / "Split-train")
    }
    columns = [served[name].numpy().reshape(500, -1) for name in names]
    rows = {tuple(column[row].tobytes() for column in columns) for row in range(500)}
    assert len(rows) > 490
    assert rows <= trained


def _values(example, name: str) -> bytes:
    feature = example.features.feature[name]
    kind = feature.WhichOneof("kind")
    dtype = np.int64 if kind == "int64_list" else np.float32
    return np.array(getattr(feature, kind).value, dtype).tobytes()


def test_predict_when_cells_are_empty_then_answers(run, folder, tapeline):
    text = io.StringIO()
    fields = ["größe (cm)", "kind", "note", "when", "fare"]
    writer = csv.DictWriter(text, fields)
    writer.writeheader()
    writer.writerow({"größe (cm)": "180", "kind": "card", "note": "late", "when": "1400000000",
                     "fare": "12.5"})  # fmt: skip
    writer.writerow(dict.fromkeys(fields, ""))
    (folder / "ask.csv").write_text(text.getvalue(), encoding="utf-8")
    done = tapeline("predict", "rides.yaml", "ask.csv", cwd=folder)
    assert done.code == 0, done
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == 2
