"""Runs a pipeline on Kubeflow: a pipeline specification whose steps are containers."""
