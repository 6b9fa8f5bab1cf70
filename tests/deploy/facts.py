"""What the product says of itself, for the files of deploy/ to agree with."""

from msgspec import Struct

from services.api.settings import Settings as ApiSettings
from services.ingest.settings import Settings as IngestSettings
from services.worker.settings import Settings as WorkerSettings
from shared.settings import variable_of

SETTINGS: dict[str, type[Struct]] = {"ingest": IngestSettings, "worker": WorkerSettings, "api": ApiSettings}

PORTS = {
    "ingest": IngestSettings(redis_url="").ingest_port,
    "worker": WorkerSettings(database_url="", redis_url="").worker_port,
    "api": ApiSettings(database_url="", redis_url="").api_port,
}

ANSWER_SECONDS_MAX = 30  # what a stopping process gives to the requests in hand: shared.http.server


BELIEVED = "FORWARDED_ALLOW_IPS"  # whose word the HTTP server takes for where a request came from


def variables_of(service: str) -> set[str]:
    """Every environment variable that the service reads."""
    return {variable_of(field) for field in SETTINGS[service].__struct_fields__} | (
        {BELIEVED} if service == "api" else set()
    )


def needed_by(service: str) -> set[str]:
    """Those that it does not start without."""
    kind = SETTINGS[service]
    required = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    return {variable_of(field) for field in kind.__struct_fields__[:required]}
