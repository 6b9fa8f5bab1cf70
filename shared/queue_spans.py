"""The queue in the words of OpenTelemetry's messaging conventions: what ingest sends and the worker processes."""

from typing import Literal

from shared.envelope import Envelope
from shared.queue import GROUP, key_of, place_of_batch

Operation = Literal["send", "process"]


def name_of(operation: Operation) -> str:
    return f"{operation} assay:scores"


def attributes_of(operation: Operation) -> dict[str, str]:
    attributes = {
        "messaging.system": "redis",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    return attributes if operation == "send" else {**attributes, "messaging.consumer.group.name": GROUP}


def attributes_of_batch(batch_id: str, envelope: Envelope) -> dict[str, str | int | bool]:
    """By which one batch is found; nothing of what its scores say."""
    place = place_of_batch(batch_id)
    assert place is not None  # the batch id is one of ours
    return {
        "messaging.destination.name": key_of(place[0]),
        "messaging.message.id": batch_id,
        "assay.request_id": envelope.request_id,
        "assay.project_id": str(envelope.project_id),
        "assay.scores": len(envelope.ids),
    }
