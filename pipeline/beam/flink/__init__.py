"""A Flink session cluster for the data components: on this machine, and its Kubernetes manifests.

`python -m pipeline.beam.flink --help` says how to start one; docs/flink.md says more.
"""
