"""`assistant`: chat with a memory, that can put others to work."""
