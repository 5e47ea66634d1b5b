"""asyncio client for Apache CouchDB."""
