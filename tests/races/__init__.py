"""Two processes on PostgreSQL at once: no deadlock, exact counts. They hold on SQLite, too."""
