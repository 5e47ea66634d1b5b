"""A CouchDB in this process: CouchDB 3.5's HTTP API on SQLite."""
