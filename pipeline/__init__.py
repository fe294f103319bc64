"""What runs, in which order and where: configuration, graph, runners and command line."""

__version__ = "0.1.0"
