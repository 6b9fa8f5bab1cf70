"""What operators run: the one-machine runner (`local`), containers, dashboards and alerts."""
