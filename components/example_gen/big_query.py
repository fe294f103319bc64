"""What a query of BigQuery will give, from BigQuery's own answers, before any row is read.

A dry run costs nothing and takes a second: it says whether the query is sound, its columns, and the
tables that it reads. The rows are read by TFX's BigQueryExampleGen, a node of its own, and what it
has written by ours, as any TFRecords.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from components.example_gen.config import BigQueryConfig
from components.example_gen.source import Batch, DataError, DataSource, Origin
from components.example_gen.tables.needs import check_columns

_WHERE = "BigQuery"
_TYPES = ("INTEGER", "FLOAT", "BOOLEAN", "STRING")
"""That TFX makes tf.Examples of, by the names that BigQuery answers with."""

_ONCE: dict[str, Any] = {"retry": None, "job_retry": None, "timeout": 60}
"""By itself the library tries for ten minutes to reach a service that does not answer."""


class Plan(NamedTuple):
    """What a dry run tells.

    Attributes:
        types: BigQuery's type by column.
        bytes: that the query reads.
        tables: each table that it reads, with the time of its last change.
    """

    types: Mapping[str, str]
    bytes: int
    tables: Sequence[str]


class BigQuerySource(DataSource):
    """The rows of a query, as far as they are known without reading them."""

    class_names = None

    def __init__(self, config: BigQueryConfig) -> None:
        self._config = config

    @property
    def columns(self) -> Sequence[str]:
        """Those of the query, and the label's if it is an expression."""
        found = list(self._plan.types)
        return [*found, self._config.label] if self._config.label_expression else found

    def check(self) -> None:
        """Checks that BigQuery takes the query, and the columns that label and splits need.

        Raises:
            DataError: at the first mistake.
        """
        types = self._plan.types
        check_columns(self._config, types, _WHERE)
        for name, kind in types.items():
            if kind not in _TYPES:
                allowed = f"INTEGER, FLOAT, BOOLEAN or STRING, as by CAST({name} AS STRING)"
                raise DataError.at(_WHERE, f"column {name!r} of {kind}", allowed)

    def fingerprint(self) -> str:
        return tables_fingerprint(self._config.project, self._config.query)

    def origins(self) -> Sequence[Origin]:
        return [Origin("query", self._config.query.strip())]

    def size(self) -> int:
        return self._plan.bytes

    def sample(self, count: int) -> list[Mapping[str, Any]]:
        with _told() as bigquery:
            client = bigquery.Client(project=self._config.project)
            job = client.query(self._config.query, **_ONCE)
            found = job.result(max_results=count, **_ONCE)
            rows = [dict(row.items()) for row in found]
        return [
            {
                name: int(value) if isinstance(value, bool) else value
                for name, value in row.items()
                if value is not None and value != []
            }
            for row in rows
        ]

    def pieces(self) -> Sequence[Any]:
        """Raises DataError: BigQueryExampleGen reads the rows, and what it wrote has pieces."""
        raise DataError.at(_WHERE, "rows that are not written yet", "what BigQueryExampleGen wrote")

    def read(self, piece: Any, survey: Any) -> Iterator[Batch]:
        raise DataError.at(_WHERE, "rows that are not written yet", "what BigQueryExampleGen wrote")

    @property
    def _plan(self) -> Plan:
        return plan(self._config.project, self._config.query)


def tables_fingerprint(project: str, query: str) -> str:
    """Returns a hash of the tables that a query reads and of their last changes.

    Raises:
        DataError: if BigQuery does not answer, or not take the query.
    """
    return hashlib.sha256("\n".join(plan(project, query).tables).encode()).hexdigest()[:16]


@functools.cache
def plan(project: str, query: str) -> Plan:
    """Returns what BigQuery says of a query; asks once in a process.

    Raises:
        DataError: if it does not answer, or not take the query.
    """
    with _told() as bigquery:
        client = bigquery.Client(project=project)
        settings = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        # As TFX asks for the columns, which a script of several statements does not stand.
        inner = f"SELECT * FROM ({query}) LIMIT 0"  # noqa: S608  the user's own query
        job = client.query(inner, job_config=settings, **_ONCE)
        tables = [
            client.get_table(table, retry=None, timeout=_ONCE["timeout"])
            for table in job.referenced_tables
        ]
        return Plan(
            {field.name: field.field_type for field in job.schema or ()},
            int(job.total_bytes_processed or 0),
            sorted(f"{table.full_table_id} {table.modified}" for table in tables),
        )


@contextmanager
def _told() -> Iterator[Any]:
    """Gives BigQuery's library; what goes wrong with it becomes a DataError."""
    try:
        import google.cloud.bigquery as bigquery
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
        from requests.exceptions import RequestException
    except ImportError as error:
        allowed = "what requirements/ has; or pip install google-cloud-bigquery"
        raise DataError.at(_WHERE, f"no module {error.name}", allowed) from None
    try:
        yield bigquery
    except DefaultCredentialsError:
        allowed = "`gcloud auth application-default login`, or GOOGLE_APPLICATION_CREDENTIALS"
        raise DataError.at(_WHERE, "no credentials", allowed) from None
    except GoogleAPIError as error:
        # The whole text names the address and the job too.
        told = [item["message"] for item in getattr(error, "errors", ()) if "message" in item]
        found = " ".join((told[0] if told else str(error)).split())
        raise DataError.at(_WHERE, found, "a query that BigQuery takes") from None
    except (GoogleAuthError, RequestException) as error:
        raise DataError.at(_WHERE, str(error), "a connection to BigQuery") from None
