"""ExampleGen for the data sets that scikit-learn carries: real data without a network."""
