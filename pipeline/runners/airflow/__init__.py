"""Runs a pipeline on Airflow: a DAG whose tasks are the nodes of the compiled pipeline."""
