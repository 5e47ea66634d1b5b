"""Views: indexes built from the change sequence, reductions, and the queries on them."""
