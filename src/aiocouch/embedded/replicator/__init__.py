"""Replication: what to copy where, how it is done, and the jobs that do it.

`specification` reads what was asked for, `peer` is a database, `worker` runs the engine, which is that
of the client (`aiocouch.replication`), `scheduler` keeps the jobs.
"""
