"""TF Lite: a SavedModel's signature `transformed` as files for devices, each held to its answers.

`export.export_lite` is the way in. Everything that loads TensorFlow's converter or interpreter runs
in a process of its own, since both can end the process that they are called from.
"""
