"""PromQL that several boards use."""

RATE = "$__rate_interval"


def rate(metric: str, *labels: str, where: str = "") -> str:
    """How much a second, by these labels."""
    return f"sum{_by(*labels)} (rate({metric}{_where(where)}[{RATE}]))"


def quantile(rank: float, histogram: str, *labels: str, where: str = "") -> str:
    """What that share of the observations lies below, by these labels."""
    return f"histogram_quantile({rank:g}, sum{_by('le', *labels)} (rate({histogram}_bucket{_where(where)}[{RATE}])))"


def share(metric: str, where: str, of: str = "") -> str:
    """How much of what is counted `of` is counted `where`."""
    return f"({rate(metric, where=where)} or vector(0)) / {rate(metric, where=of)}"


def average(histogram: str, *labels: str) -> str:
    return f"{rate(f'{histogram}_sum', *labels)} / {rate(f'{histogram}_count', *labels)}"


def largest(metric: str, *labels: str, where: str = "") -> str:
    """Of what several processes tell of one thing, the largest."""
    return f"max{_by(*labels)} ({metric}{_where(where)})"


def _by(*labels: str) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _where(where: str) -> str:
    return f"{{{where}}}" if where else ""
