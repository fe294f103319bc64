"""A whole run that takes as little as one can: few rows of the digits, few epochs."""

CONFIG = """\
name: digits
root: runs
data: {source: sklearn, dataset: digits, label: digit, limit: 400}
task: {name: digits}
train: {epochs: 6, batch_size: 64, steps_per_call: 5, optimizer: {learning_rate: 0.01}}
evaluate:
  metrics: [{name: accuracy, head: class, at_least: 0.1}]
serve: {batching: {max_batch_size: 4, allowed_batch_sizes: [1, 4]}}
"""
