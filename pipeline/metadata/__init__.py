"""Where ML Metadata keeps what came from what: a file, or a database server for a team."""
