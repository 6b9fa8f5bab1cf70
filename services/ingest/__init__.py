"""HTTP → decode → enqueue. Opens Redis and nothing else."""
