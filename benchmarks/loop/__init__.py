"""Times training loops against each other; `python -m benchmarks.loop` prints the tables."""
