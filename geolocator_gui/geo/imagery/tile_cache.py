"""What was downloaded, in one SQLite file per source: bodies, and how to ask whether they changed."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from geolocator_gui.errors import FaultError, InputError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tiles (
    key TEXT PRIMARY KEY, status INTEGER NOT NULL, body BLOB, kind TEXT NOT NULL, etag TEXT NOT NULL,
    last_modified TEXT NOT NULL, expires REAL NOT NULL, fetched REAL NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Kept:
    """One answer of a server.

    Attributes:
        status: 200, or 404 for "there is no such tile".
        body: The bytes; b"" for 404.
        kind: Content type.
        etag: As sent, or "".
        last_modified: As sent, or "".
        expires: Unix seconds until which it is used without asking.
        fetched: Unix seconds when the server last gave or confirmed it; set when it is kept.
    """

    status: int
    body: bytes
    kind: str
    etag: str
    last_modified: str
    expires: float
    fetched: float = field(default=0.0, compare=False)

    @property
    def is_fresh(self) -> bool:
        """Whether it may be used without asking the server."""
        return time.time() < self.expires


class TileCache:
    """Safe for threads and for several processes at once (WAL); a connection per thread."""

    def __init__(self, path: Path) -> None:
        """Open or create.

        Raises:
            InputError: The folder may not be written.
            FaultError: The file cannot be created.
        """
        self._path = path
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not os.access(path.parent, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._connection()
        except sqlite3.DatabaseError:
            # A cache is never worth repairing: what it held is fetched again.
            self.close()
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    path.with_name(path.name + suffix).unlink()
            try:
                self._connection()
            except sqlite3.Error as error:
                raise FaultError(f"the tile cache cannot be used ({error})", path=path) from error
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
            raise (FaultError if full else InputError)(
                f"the tile cache cannot be created ({error.strerror})",
                path=path,
                hint="" if full else "Name a folder that you may write to in the variable GEOLOCATOR_TILES.",
            ) from error

    def get(self, key: str) -> Kept | None:
        """What is kept under a key, fresh or not."""
        try:
            row = (
                self._connection()
                .execute(
                    "SELECT status, body, kind, etag, last_modified, expires, fetched FROM tiles WHERE key=?",
                    (key,),
                )
                .fetchone()
            )
        except sqlite3.DatabaseError:
            return None  # a damaged page: the tile is fetched again
        return None if row is None else Kept(row[0], row[1] or b"", *row[2:])

    def put(self, key: str, kept: Kept) -> None:
        """Keep an answer; a full disk only means that it is not kept."""
        row = (
            key,
            kept.status,
            kept.body,
            kept.kind,
            kept.etag,
            kept.last_modified,
            kept.expires,
            time.time(),
        )
        with contextlib.suppress(sqlite3.DatabaseError), self._connection() as connection:
            connection.execute("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def renew(self, key: str, expires: float) -> None:
        """Say that the server confirmed what is kept."""
        with contextlib.suppress(sqlite3.DatabaseError), self._connection() as connection:
            connection.execute(
                "UPDATE tiles SET expires=?, fetched=? WHERE key=?", (expires, time.time(), key)
            )

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
            self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=30.0, check_same_thread=False)
            with self._lock:
                self._all.append(found)
            found.execute("PRAGMA journal_mode=WAL")
            found.execute("PRAGMA synchronous=NORMAL")
            found.execute(_SCHEMA)
            self._local.connection = found
        return found
