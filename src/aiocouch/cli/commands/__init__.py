"""The commands, each in a file of its own, which is loaded when the command is run.

A module has `configure(parser)`, which says what the command does and takes, and sets `run` by
`parser.set_defaults(run=…)`: a function, which may be async, of what was given, to the status to end with.
"""
