"""Pages, forms and live feeds. Never reaches `worker`, `agent` or `patterns`."""
