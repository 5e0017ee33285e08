"""Measurements of the figures that the project promises: `make bench`.

Each `bench_*.py` has a `run()` that answers tables. What needs Django runs in a process of its own, with the
project's real settings: see `database.py`; what goes by HTTP or socket, a site: see `site.py`. `make bench
ARGS="append open --quick"` runs some of them; see `options.py`.
"""
