"""What runs, in which order and where: configuration, graph, runners and command line."""

# Before anything imports TFX: this has less of it imported.
import components  # noqa: F401

__version__ = "0.1.0"
