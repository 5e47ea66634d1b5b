"""What a request goes through, one small part each. `aiocouch.remote` puts them together."""
