"""What an operator watches Assay with: alert rules, an example for Prometheus, and Grafana's dashboards, which are
generated."""
