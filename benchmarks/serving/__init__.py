"""What a request costs the embedded server: `make bench-serving`."""
