"""Where a pipeline runs. Every runner starts from the same compiled graph."""
