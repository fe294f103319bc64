"""A user's own package: which digit it is, and whether it is odd."""
