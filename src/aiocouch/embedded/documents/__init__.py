"""What a document is: its revision tree, its attachments, an edit of it. Pure."""
