"""The alert rules as the Prometheus Operator takes them: a PrometheusRule around the groups of alerts.yml."""

import textwrap

HEAD = """\
# Made of alerts.yml by `make dashboards`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: assay
spec:
"""


def as_object(alerts: str) -> str:
    """`alerts` is the text of a file of rules for Prometheus; what stands before its groups is left out."""
    _, key, groups = alerts.partition("\ngroups:\n")
    if not key:
        raise ValueError("the file of rules has no groups")
    return HEAD + textwrap.indent(f"groups:\n{groups}", "  ")
