"""Where a version comes from, and why a node ran: what ML Metadata tell of runs that are over.

Imports neither TFX nor TensorFlow: an answer takes a second.
"""
