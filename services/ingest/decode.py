"""Turn the bytes of one request into scores, item by item. Never raises for a bad item: a bad item is a `Refused`.

The good path decodes the whole batch at once, and again item by item only when that fails. Pure.
"""

import re
from collections.abc import Callable
from datetime import datetime
from itertools import islice

import msgspec
from msgspec import Raw, Struct

from shared.errors import Malformed, TooLarge
from shared.scores import (
    ESCAPED_NUL,
    METADATA_DEPTH_MAX,
    NESTING,
    SCORE_BYTES_MAX,
    TEXT_ID_LENGTH_MAX,
    Misshapen,
    Score,
    misshapen,
)

NUL = b"\\u0000"
UNFIT_TEXT = Misshapen(
    "unfit_text",
    None,
    "text may hold neither the NUL character nor half of a surrogate pair nor bytes that are no UTF-8",
)

ITEM_TOO_LARGE = Misshapen(
    "item_too_large", None, f"a score has at most {SCORE_BYTES_MAX} bytes of JSON, blanks included"
)

# How far a body is searched for the items that make it unreadable.
NO_UTF_8_MAX = 1_000
ESCAPES_MAX = 500_000
TOKENS_MAX = 500_000

MakeIds = Callable[[int], list[str]]


class Refused(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One item that is not a score: where, why, and the id it had if it had one."""

    index: int
    code: str
    pointer: str
    detail: str
    id: str | None = None


class Decoded(Struct, frozen=True, kw_only=True):
    """What a request holds. `scores` is the JSON array of the accepted items, byte for byte as sent; `ids` belong to
    them in order, and so do `indexes`, their places in the request (None: all of them, in order)."""

    scores: bytes
    ids: list[str]
    indexes: list[int] | None
    refused: list[Refused]


class _Batch(Struct, forbid_unknown_fields=True):
    scores: Raw


_batch_decoder = msgspec.json.Decoder(_Batch)
_items_decoder = msgspec.json.Decoder(list[Raw])
_scores_decoder = msgspec.json.Decoder(list[Score])
_score_decoder = msgspec.json.Decoder(Score)

# What a hostile or broken JSON text can make the decoder raise.
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(body: bytes, now: datetime, make_ids: MakeIds, scores_max: int) -> Decoded:
    """Raises `Malformed` when the whole is not a batch of scores, `TooLarge` when it has more than `scores_max`."""
    try:
        array = _array_of(body)
    except Malformed as error:
        body = _kept_apart(body, is_deep=isinstance(error.__cause__, RecursionError))
        array = _array_of(body)
    try:
        scores = _scores_decoder.decode(array)
    except _NOT_JSON:
        return _item_by_item(_items(array, scores_max), now, make_ids)
    _check_count(len(scores), scores_max)
    if NUL in body or not _are_well_shaped(scores, now) or _is_overweight(array):
        return _item_by_item(_items(array, scores_max), now, make_ids)
    return Decoded(scores=bytes(memoryview(array)), ids=_ids(scores, make_ids), indexes=None, refused=[])


def _kept_apart(body: bytes, *, is_deep: bool) -> bytes:
    """What one item can do to a whole body, made into something that the decoder reads and that is refused in its item.

    A body that is no JSON for another reason, or that has so much of this that looking for it would hold up others, is
    no JSON afterwards either, but for what was cut out."""
    if not body.isascii():
        text = _NO_UTF_8.sub(r"\\u0000", body.decode(errors="surrogateescape"), count=NO_UTF_8_MAX)
        body = text.encode(errors="surrogateescape")
    body = _HALF_A_PAIR.sub(_nul_for_half, body, count=ESCAPES_MAX)
    return _without_depths(body) if is_deep else body


_NO_UTF_8 = re.compile("[\udc80-\udcff]+")

# Every escape of a JSON text, from its backslash on: a surrogate pair, half of one (named), or any other.
_HALF_A_PAIR = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def _nul_for_half(escape: re.Match[bytes]) -> bytes:
    """Half of a surrogate pair is no text, but it is JSON, and the decoder refuses the whole body for it. NUL in its
    place is refused just so, and only in the item that has it."""
    return escape[0] if escape["half"] is None else NUL


_DEPTH_KEPT = METADATA_DEPTH_MAX + 10  # the levels around metadata, and more: what remains is still too deep


def _without_depths(body: bytes) -> bytes:
    """A number in the place of whatever is nested deeper than any score may be."""
    kept: list[bytes] = []
    depth = begin = 0
    for token in islice(NESTING.finditer(body), TOKENS_MAX):
        before, depth = depth, depth + len(token["opened"] or b"") - len(token["closed"] or b"")
        if before <= _DEPTH_KEPT < depth:
            kept += (body[begin : token.start() + _DEPTH_KEPT - before], b"0")
        elif depth <= _DEPTH_KEPT < before:
            begin = token.start() + before - _DEPTH_KEPT
    return b"".join(kept) + body[begin:] if depth <= _DEPTH_KEPT else body


def _are_well_shaped(scores: list[Score], now: datetime) -> bool:
    for score in scores:  # noqa: SIM110 - `all` over a generator takes a third longer
        if misshapen(score, now) is not None:
            return False
    return True


def _is_overweight(array: Raw) -> bool:
    """Whether an item is too large, or as much as that is blanks between items, which item by item are left out. Most
    batches are smaller than one item may be: only others are taken apart for this."""
    if len(array) <= SCORE_BYTES_MAX:
        return False
    sizes = list(map(len, _items_decoder.decode(array)))
    return max(sizes) > SCORE_BYTES_MAX or len(array) - sum(sizes) > SCORE_BYTES_MAX


def _array_of(body: bytes) -> Raw:
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look inside what it skips
        return _batch_decoder.decode(body).scores
    except msgspec.ValidationError as error:
        raise Malformed(f'The body is not {{"scores": [...]}}: {error}.', code="not_a_batch") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.", code="invalid_json") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is not JSON: {error}.", code="invalid_json") from error


def _items(array: Raw, scores_max: int) -> list[Raw]:
    try:
        items = _items_decoder.decode(array)
    except _NOT_JSON as error:
        raise Malformed('"scores" is a list of scores.', code="not_a_batch", pointer="/scores") from error
    _check_count(len(items), scores_max)
    return items


def _check_count(count: int, scores_max: int) -> None:
    if count == 0:
        raise Malformed('"scores" is empty.', code="empty_batch", pointer="/scores")
    if count > scores_max:
        raise TooLarge(f"{count} scores in one request; {scores_max} are allowed.", code="too_many_scores")


def _ids(scores: list[Score], make_ids: MakeIds) -> list[str]:
    ids = [score.id for score in scores]
    if None not in ids:
        return ids  # type: ignore[return-value]  # the line above says so
    made = iter(make_ids(len(ids)))
    return [next(made) if score_id is None else score_id for score_id in ids]


def _item_by_item(items: list[Raw], now: datetime, make_ids: MakeIds) -> Decoded:
    judged = [_item(index, item, now) for index, item in enumerate(items)]
    good = [(index, score) for index, score in enumerate(judged) if isinstance(score, Score)]
    return Decoded(
        scores=b"[" + b",".join(bytes(memoryview(items[index])) for index, _ in good) + b"]",
        ids=_ids([score for _, score in good], make_ids),
        indexes=[index for index, _ in good],
        refused=[refused for refused in judged if isinstance(refused, Refused)],
    )


def _item(index: int, item: Raw, now: datetime) -> Score | Refused:
    if len(item) > SCORE_BYTES_MAX:
        return _refused(index, ITEM_TOO_LARGE, _id_of(item))
    try:
        score = _score_decoder.decode(item)
    except _NOT_JSON as error:
        wrong = explain(str(error))
        return _refused(index, wrong, _id_of(item))
    if ESCAPED_NUL.search(bytes(memoryview(item))):
        return _refused(index, UNFIT_TEXT, _id_of(item))
    wrong_shape = misshapen(score, now)
    return score if wrong_shape is None else _refused(index, wrong_shape, score.id)


def _refused(index: int, wrong: Misshapen, score_id: str | None) -> Refused:
    pointer = f"/scores/{index}" + ("" if wrong.field is None else f"/{wrong.field}")
    return Refused(index=index, code=wrong.code, pointer=pointer, detail=wrong.detail, id=score_id)


def _id_of(item: Raw) -> str | None:
    """The id of an item that is no score, if it can be told: so that its sender can find it again."""
    try:
        found = msgspec.json.decode(item, type=_AnyId).id
    except _NOT_JSON:
        return None
    return found if isinstance(found, str) and len(found) <= TEXT_ID_LENGTH_MAX and "\x00" not in found else None


class _AnyId(Struct):
    id: object = None


# The decoder's own words, made into our codes. The release is pinned and a test goes through every line.
_FIELD_EXPLANATIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Object missing required field `(.*)`", re.DOTALL), "missing_field"),
    (re.compile(r"Object contains unknown field `(.*)`", re.DOTALL), "unknown_field"),
)
_EXPLANATIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"Expected `bool \| float \| str`, got `null`", "null_value"),
        (r"Expected `object`, got", "not_an_object"),
        (r"Invalid RFC3339|with a timezone component", "invalid_timestamp"),
        (r"Invalid UUID", "invalid_uuid"),
        (r"Invalid enum value", "unknown_word"),
        (r"of length <=", "too_long"),
        (r"of length >=", "too_short"),
        (r"Number out of range", "number_out_of_range"),
        (r"Expected `", "wrong_type"),
    )
)
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


def explain(message: str) -> Misshapen:
    """Our code, the field and a sentence for what the decoder said of one item."""
    for pattern, code in _FIELD_EXPLANATIONS:
        named = pattern.fullmatch(message)  # the whole: a sender can put anything into a field's name
        if named:
            return Misshapen(code, _escaped(named[1]), message)
    place = _PLACE.search(message)
    said = message[: place.start()] if place else message
    field = "/".join(_escaped(part) for part in place["path"].split(".") if part) if place else None
    for pattern, code in _EXPLANATIONS:
        if pattern.search(said):
            return Misshapen(code, field, said)
    return Misshapen("malformed", field, said)


def _escaped(part: str) -> str:
    """One part of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")
