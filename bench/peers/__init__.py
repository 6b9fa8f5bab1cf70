"""The same work done by Assay and by another program that keeps scores: what `make bench-peers` runs."""
