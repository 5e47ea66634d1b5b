"""Replication: what to copy where, how it is done, and the jobs that do it.

`specification` reads what was asked for, `checkpoints` knows how far an earlier replication got,
`peer` speaks HTTP to one database, `worker` copies, `scheduler` keeps the jobs.
"""
