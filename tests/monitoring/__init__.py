"""What Assay says of itself: metrics, health, alert rules, dashboards, and the docs of all of it."""
