"""ExampleGen: bundled data sets, pictures in folders, the files of known sets, and arrays."""
