"""Beam engines: where the data components run, and what has to be there for it.

`config` says which, `arguments` turns it into Beam's options, `checks` finds out whether it can be
reached, and `engine` keeps what a run needs of it alive while the run goes on.
"""
