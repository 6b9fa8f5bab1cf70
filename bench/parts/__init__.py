"""One module per part of the bench. Each takes a `Plan` and gives back its figures."""
