"""The text that goes over the wire: ids, options, JSON, rows. No I/O, no asyncio, no aiohttp."""
