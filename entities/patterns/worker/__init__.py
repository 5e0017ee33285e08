"""`worker`: one task, the tools that its spawner picked, a report."""
