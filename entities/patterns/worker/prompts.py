"""What a worker is told after what its spawner tells it."""

FOOTER = "\n\nWhen you are done, report back in a few sentences: what you did and what you found."
