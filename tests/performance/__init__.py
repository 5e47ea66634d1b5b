"""What the client costs, beside the least that anyone could write by hand."""
