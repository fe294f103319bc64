"""A CSV in the splits that ExampleGen puts its rows in, for who reads CSVs alone."""

from __future__ import annotations

from pathlib import Path


def write_splits(config_path: Path, folder: Path) -> None:
    """Writes `<split>/rows.csv`, each with the header, for the CSV that a configuration names.

    A row is a line: fields with line breaks in them are not known here.

    Raises:
        ValueError: if there are not as many lines as rows.
    """
    from components.example_gen.config import SPLITS
    from components.example_gen.sources import make_source
    from pipeline.config_file import load_config

    data = load_config(str(config_path), []).data
    source = make_source(data)
    pieces = source.pieces()
    survey = source.merge([source.survey(piece) for piece in pieces])
    numbers = [
        number
        for piece in pieces
        for batch in source.read(piece, survey)
        for number in batch.splits.tolist()
    ]
    header, *lines = Path(data.path).read_text(encoding="utf-8").splitlines(keepends=True)
    by_split: dict[str, list[str]] = {name: [header] for name in SPLITS}
    for number, line in zip(numbers, lines, strict=True):
        by_split[SPLITS[number]].append(line)
    for name, rows in by_split.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "rows.csv").write_text("".join(rows), encoding="utf-8")
