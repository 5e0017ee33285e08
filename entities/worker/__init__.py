"""The background consumer that executes wakes. Never imported by `web`."""
