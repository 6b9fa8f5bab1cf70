"""What somebody could send on purpose, against real processes, from outside."""
