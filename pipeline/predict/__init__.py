"""Asking a model about rows of data: readers, answering models, writers, and the job of all three.

`rows`, `text_rows`, `image_rows`, `record_rows` and `sample_rows` read; `arrays` makes a batch of
what was read; `models` answer, here or over the network; `writers` write; `job` keeps several
batches on their way and the order as it was.
"""
