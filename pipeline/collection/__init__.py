"""Frees what no run, no served version and no blessed model needs any more."""
