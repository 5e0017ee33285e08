"""What the site can be told on the command line."""
