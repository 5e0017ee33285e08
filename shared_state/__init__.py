"""Streams and what is folded from them. This app knows nothing about agents."""
