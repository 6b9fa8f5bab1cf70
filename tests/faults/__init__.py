"""One test per fault: what the sender sees, what the operator sees, and that it passes by itself with nothing lost."""
