"""ExampleGen: the data sets that scikit-learn carries, image folders, and CIFAR-10's own files."""
