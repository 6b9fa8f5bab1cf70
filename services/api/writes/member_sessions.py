"""The sessions of signed-in members. A cookie holds 32 random bytes; here lies their SHA-256."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from services.api.callers import SignedIn
from shared.postgres import Connection, affected

TOUCH_AFTER = timedelta(minutes=1)
TEXT_LENGTH_MAX = 200


class SessionRow(Struct, frozen=True):
    """A session as its member sees it in a list."""

    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    is_current: bool


async def start_session(
    connection: Connection, member_id: UUID, session_hash: bytes, lasts: timedelta, user_agent: str, address: str
) -> datetime:
    """When it ends at the latest."""
    expires_at: datetime = await connection.fetchval(
        """
        INSERT INTO member_sessions (member_id, hash, expires_at, user_agent, address)
        VALUES ($1, $2, now() + $3::interval, $4, $5)
        RETURNING expires_at
        """,
        member_id, session_hash, lasts, user_agent[:TEXT_LENGTH_MAX], address[:TEXT_LENGTH_MAX],
    )  # fmt: skip
    return expires_at


async def find_session(connection: Connection, session_hash: bytes, idle: timedelta) -> SignedIn | None:
    """None when there is none, or it is over, or it was not used for so long. That it was seen is written at most once
    a minute."""
    row = await connection.fetchrow(
        """
        SELECT s.member_id, m.email, m.name, s.expires_at, s.last_seen_at < now() - $3::interval AS is_stale
        FROM member_sessions AS s
        JOIN members AS m ON m.id = s.member_id
        WHERE s.hash = $1 AND s.expires_at > now() AND s.last_seen_at > now() - $2::interval
        """,
        session_hash,
        idle,
        TOUCH_AFTER,
    )
    if row is None:
        return None
    if row["is_stale"]:
        await connection.execute("UPDATE member_sessions SET last_seen_at = now() WHERE hash = $1", session_hash)
    return SignedIn(row["member_id"], row["email"], row["name"], session_hash, row["expires_at"])


async def list_sessions(
    connection: Connection, member_id: UUID, current_hash: bytes, idle: timedelta
) -> Sequence[SessionRow]:
    rows = await connection.fetch(
        """
        SELECT created_at, last_seen_at, expires_at, user_agent, address, hash = $2 AS is_current
        FROM member_sessions
        WHERE member_id = $1 AND expires_at > now() AND last_seen_at > now() - $3::interval
        ORDER BY created_at DESC
        """,
        member_id,
        current_hash,
        idle,
    )
    return [SessionRow(**row) for row in rows]


async def end_session(connection: Connection, session_hash: bytes) -> None:
    """Twice is harmless."""
    await connection.execute("DELETE FROM member_sessions WHERE hash = $1", session_hash)


async def end_sessions(connection: Connection, member_id: UUID) -> int:
    """All of a member's; how many. Twice is harmless."""
    return affected(await connection.execute("DELETE FROM member_sessions WHERE member_id = $1", member_id))


async def forget_ended_sessions(connection: Connection, member_id: UUID, idle: timedelta) -> None:
    """Those of a member that nobody can use any more. Twice is harmless."""
    await connection.execute(
        """
        DELETE FROM member_sessions
        WHERE member_id = $1 AND (expires_at <= now() OR last_seen_at <= now() - $2::interval)
        """,
        member_id,
        idle,
    )
