"""The serving contract: the model directory, TF Serving's files beside it, and what reads them.

Knows nothing of pipelines or training; a SavedModel is all it takes.
"""
