"""Turns a source's rows into tf.Examples in splits, on Beam.

A worker reads a piece of the data and writes what comes out of it, so that no row travels through
Beam. Bad rows never fail a worker, which an engine would then try again: they are counted, and the
policy for them is held when all have been read.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import apache_beam as beam
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs

from components.example_gen.config import SPLITS, BigQueryConfig, DataConfig, where
from components.example_gen.intake import collect, write_part
from components.example_gen.provenance import collect_sources, shares, write_contents
from components.example_gen.query import Query, read_query
from components.example_gen.source import DataError, DataSource, Origin
from components.example_gen.sources import make_source
from components.example_gen.writer import PARTIAL, PieceWriter

_ACCOUNTS = "accounts"
"""Folder of what the pieces' readers report, until the report of all is made."""

_HASHES = "hashes"
"""Folder of what the files held, for the same time."""


ROWS = "rows"
"""The input where another node has read the rows, and the only split of what it wrote."""


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads what the query, a JSON object with a `data` section of the configuration, names.

    Rows of BigQuery are read from the input `rows`, where BigQueryExampleGen has written them.
    """

    def Do(  # noqa: N802  TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the examples, the accounts of rows and of files, and the rows in quarantine.

        Raises:
            DataError: if the data do not read, are changed meanwhile, or there are more bad rows
                than allowed.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        query = read_query(exec_properties)
        data, source = _source(input_dict, query)
        origins = _origins(query, source)
        (examples,) = output_dict[standard_component_specs.EXAMPLES_KEY]
        accounts, hashes = (os.path.join(examples.uri, name) for name in (_ACCOUNTS, _HASHES))
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        # StatisticsGen hands it on, and AnomalyGate goes by it.
        examples.span = source.span()
        with self._make_beam_pipeline() as pipeline:
            pieces = (
                pipeline
                | "Pieces" >> beam.Create(list(enumerate(source.pieces())), reshuffle=False)
                | "Spread" >> beam.Reshuffle()
            )
            survey = (
                pieces
                | "Survey" >> beam.Map(lambda piece, source: source.survey(piece[1]), source)
                | "Together" >> beam.combiners.ToList()
                | "Merge" >> beam.Map(source.merge)
            )
            write = functools.partial(_write, source=source, uri=examples.uri, accounts=accounts)
            _ = pieces | "Write" >> beam.Map(write, survey=beam.pvalue.AsSingleton(survey))
            if files := shares(origins):
                _ = (
                    pipeline
                    | "Files" >> beam.Create(list(enumerate(files)), reshuffle=False)
                    | "SpreadFiles" >> beam.Reshuffle()
                    | "Hash" >> beam.MapTuple(functools.partial(write_contents, hashes))
                )
        partial = os.path.join(examples.uri, PARTIAL)
        if fileio.exists(partial):
            fileio.rmtree(partial)
        collect_sources(hashes, origins, examples.uri)
        intake = collect(accounts, examples.uri)
        _check_unchanged(query, data, source)
        intake.check(data.bad_rows, data.max_bad_fraction, where(data))
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)


def _source(
    input_dict: dict[str, list[types.Artifact]], query: Query
) -> tuple[DataConfig, DataSource]:
    data: DataConfig = query.data
    if isinstance(data, BigQueryConfig):
        data = data.written_to(artifact_utils.get_split_uri(input_dict[ROWS], ROWS))
    return data, make_source(data, query.label_values)


def _origins(query: Query, source: DataSource) -> list[Origin]:
    """Returns what the rows come from; those of BigQuery from a query, and the files of its rows.

    What the tables were is said by the execution of BigQueryExampleGen.
    """
    asked = isinstance(query.data, BigQueryConfig)
    first = [Origin("query", query.data.query.strip())] if asked else []
    return [*first, *source.origins()]


def _check_unchanged(query: Query, data: DataConfig, source: DataSource) -> None:
    """Holds the data to what they were when the node began, which the cache goes by.

    Raises:
        DataError: if they have changed since.
    """
    if query.fingerprint and source.fingerprint() != query.fingerprint:
        found = "data that were changed while they were read"
        raise DataError.at(where(data), found, "data that stay as they are; run again")


def _write(
    piece: tuple[int, Any], survey: Any, source: DataSource, uri: str, accounts: str
) -> None:
    from tensorflow.io import gfile

    number, content = piece
    with PieceWriter(uri, number, source.shards()) as writer:
        for batch in source.read(content, survey):
            writer.write(batch)
    gfile.makedirs(accounts)
    write_part(accounts, number, writer.intake)
