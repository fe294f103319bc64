"""The program that asks a Kubeflow Pipelines API server; see `__main__`."""
