"""A schema that people review: frozen into a file, compared with data, and brought back."""
