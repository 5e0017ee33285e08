"""Durable, addressable agents on top of `shared_state`."""
