"""The handlers, by what they answer for; importing one registers its routes."""
