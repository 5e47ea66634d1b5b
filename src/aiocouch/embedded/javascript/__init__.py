"""JavaScript of design documents: a pool of worker processes and the calls it offers."""
