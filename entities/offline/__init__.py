"""The offline model: a provider like any other, and its texts."""
