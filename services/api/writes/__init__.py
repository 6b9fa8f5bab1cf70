"""What the api writes, by noun: score configs, accounts and keys. Scores come in through the worker."""
