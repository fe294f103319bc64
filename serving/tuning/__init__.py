"""Batching parameters from measurement: a curve of latency, candidates from it, and a load test."""
