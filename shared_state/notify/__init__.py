"""Hints between threads and processes; with `live` the only room that knows Channels."""
