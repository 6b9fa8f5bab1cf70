"""The envelope: what one queue entry carries, one batch of one project, from ingest to the worker.

msgpack, versioned. The scores inside are the JSON their sender wrote (an array), untouched: ingest need not encode them
again, and a rejected score can be kept as it was. In version 2 they are compressed with Zstandard, which pays from some
hundred bytes on. A worker meets envelopes of older and of newer releases: unknown fields are ignored, an unknown
version raises `UnreadableEnvelope`.
"""

from datetime import datetime
from uuid import UUID

import msgspec
import zstandard
from msgspec import Struct

from shared.errors import UnreadableEnvelope
from shared.scores import QueuedScore
from shared.trace_context import TraceContext, trace_context

PLAIN, COMPRESSED = 1, 2  # versions
COMPRESS_BYTES_MIN = 1000
SCORES_BYTES_MAX = 1 << 28  # of one envelope, unpacked; no setting of ingest allows more
_LEVEL = 1  # real batches get to a twelfth; higher levels take longer and win nothing


class Envelope(Struct, kw_only=True):
    """`ids[i]` is the id of the i-th score of `scores`, `indexes[i]` its place in the request, where they differ.

    Older releases write any text as `traceparent`; `trace` is what of it is valid.
    """

    v: int = PLAIN
    request_id: str
    traceparent: str | None = None
    tracestate: str | None = None
    project_id: UUID
    received_at: datetime
    ids: list[str]
    indexes: list[int] | None = None
    scores: bytes

    @property
    def trace(self) -> TraceContext | None:
        return trace_context(self.traceparent, self.tracestate)

    def index_in_request(self, at: int) -> int:
        return at if self.indexes is None else self.indexes[at]


class Address(Struct, frozen=True):
    """What is known of a batch without reading its scores. None: not even that."""

    project_id: UUID | None = None
    ids: list[str] | None = None
    request_id: str | None = None


class _Header(Struct):
    v: int


_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(_Header)
_address_decoder = msgspec.msgpack.Decoder(Address)
_envelope_decoder = msgspec.msgpack.Decoder(Envelope)
_scores_decoder = msgspec.json.Decoder(list[QueuedScore])
_raw_scores_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_compressor = zstandard.ZstdCompressor(level=_LEVEL)
_decompressor = zstandard.ZstdDecompressor()


def encode(envelope: Envelope) -> bytes:
    if len(envelope.scores) >= COMPRESS_BYTES_MIN:
        compressed = _compressor.compress(envelope.scores)
        envelope = msgspec.structs.replace(envelope, v=COMPRESSED, scores=compressed)
    return _encoder.encode(envelope)


def decode(data: bytes) -> tuple[Envelope, list[QueuedScore]]:
    """The envelope and its scores. Raises `UnreadableEnvelope` for anything else than what `encode` makes."""
    try:
        version = _header_decoder.decode(data).v
        if version not in (PLAIN, COMPRESSED):
            raise UnreadableEnvelope(f"envelope version {version}, this release reads {PLAIN} and {COMPRESSED}")
        envelope = _envelope_decoder.decode(data)
        if version == COMPRESSED:
            envelope.v, envelope.scores = PLAIN, _unpacked(envelope.scores)
        scores = decode_scores(envelope.scores)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, zstandard.ZstdError) as error:
        raise UnreadableEnvelope(f"not an envelope: {error}") from error
    if len(scores) != len(envelope.ids):
        raise UnreadableEnvelope(f"{len(envelope.ids)} ids for {len(scores)} scores")
    return envelope, scores


def _unpacked(scores: bytes) -> bytes:
    """A damaged frame can say that it holds terabytes, which would be asked for before anything is read."""
    size = zstandard.frame_content_size(scores)
    if not 0 <= size <= SCORES_BYTES_MAX:
        raise UnreadableEnvelope(f"the scores would have {size} bytes")
    return _decompressor.decompress(scores)


def address_of(data: bytes) -> Address:
    """Also of an envelope that `decode` can't read, as far as it can be made out."""
    try:
        return _address_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Address()


def decode_scores(scores: bytes) -> list[QueuedScore]:
    """The scores of a JSON array that ingest has accepted before."""
    return _scores_decoder.decode(scores)


def original(envelope: Envelope, at: int) -> str:
    """The JSON text of the score at place `at`, as its sender wrote it."""
    return bytes(memoryview(_raw_scores_decoder.decode(envelope.scores)[at])).decode()
