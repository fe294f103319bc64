"""`make bench-engines`: what the data nodes cost in one process, in several, and on Flink."""
