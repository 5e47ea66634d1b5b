"""The client on bad days: seeded faults, and an oracle that asks the server itself."""
