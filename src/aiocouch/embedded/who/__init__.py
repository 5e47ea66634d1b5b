"""Who may do what: users, passwords, sessions, tokens, security objects."""
