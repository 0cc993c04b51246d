"""Polite, patient downloads: limits per source, an honest name, back-off, revalidation, size and time limits.

HTTP semantics follow RFC 9110 (Retry-After, conditional requests) and RFC 9111 (freshness).
"""

from __future__ import annotations

import email.utils
import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geolocator_gui import __version__
from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.tile_cache import Kept, TileCache

if TYPE_CHECKING:
    import httpx2

USER_AGENT = f"Geolocator/{__version__}"
# 400: what some servers (swisstopo) say of a tile beyond their extent.
_NO_TILE = (204, 400, 404, 410)
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_DEFAULT_FRESH_S = 7 * 86400.0
_MISSING_FRESH_S = 86400.0
# After so many tiles none of which was a picture it is the server, not the tiles.
_ENOUGH = 12
_NETWORK_WORDS = {
    "ConnectError": "no connection",
    "ConnectTimeout": "no connection in time",
    "ReadTimeout": "no answer in time",
    "ReadError": "the connection broke off",
    "RemoteProtocolError": "the answer broke off",
    "DecodingError": "what came cannot be unpacked",
    "TooManyRedirects": "it sends round in circles",
    "UnsupportedProtocol": "it sends to an address that is not read",
}
# For so long a tile that did not come whole is not asked for again.
_BAD_FOR_S = 60.0


@dataclass(frozen=True)
class Manners:
    """How a source is asked.

    Attributes:
        concurrency: Requests under way at a time.
        per_second: Requests begun per second, over all threads.
        attempts: Of one tile before the source counts as gone.
        first_wait_s: Before the second attempt; doubled each time, with some chance in it.
        longest_wait_s: Between attempts; a server that asks for more ends the job.
        connect_s: For a connection.
        silence_s: Between two pieces of a body.
        whole_s: For one answer in all.
        max_bytes: Of one body.
    """

    concurrency: int = 4
    per_second: float = 20.0
    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    connect_s: float = 15.0
    silence_s: float = 20.0
    whole_s: float = 60.0
    max_bytes: int = 16 * 1024 * 1024


class _BadAnswerError(Exception):
    """An answer that a second attempt may better: broken off, too slow, not what was asked for."""


class _Turns:
    """Lets requests begin at a steady rate, and none while the server asked for silence."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1.0 / per_second
        self._next = 0.0
        self._lock = threading.Lock()
        self.closing = threading.Event()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap
        self.sleep(at - now)

    def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the source."""
        if self.closing.wait(max(0.0, seconds)):
            raise ImageryError("the source was closed while it waited for the server")

    def silence(self, seconds: float) -> None:
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class Fetcher:
    """Fetches bodies of one source; shared by its clones, safe for threads.

    Attributes:
        requests: Requests sent so far.
        corrupt: Tiles given up because no attempt brought a whole picture.
        reason: What was wrong with the last of them, in words.
        newer_than: Unix seconds; what the cache holds from before is used only if the server confirms it.
    """

    def __init__(self, name: str, cache: TileCache | None, manners: Manners) -> None:
        """Nothing is sent yet.

        Args:
            name: Of the source in errors, without any key.
            cache: Where answers are kept, None to keep none.
            manners: Limits.
        """
        import httpx2

        # At level INFO these write every address, and with it every key, into the log.
        for logger in ("httpx2", "httpcore2"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        self._name, self._cache, self._manners = name, cache, manners
        self._client = httpx2.Client(
            headers={"User-Agent": USER_AGENT, "Accept": "image/*,*/*;q=0.5"},
            timeout=httpx2.Timeout(manners.silence_s, connect=manners.connect_s),
            limits=httpx2.Limits(max_connections=manners.concurrency),
            follow_redirects=True,
            http2=True,
        )
        self._turns = _Turns(manners.per_second)
        self._slots = threading.Semaphore(manners.concurrency)
        self._pool = ThreadPoolExecutor(manners.concurrency, thread_name_prefix="fetch")
        self._users = 1
        self._lock = threading.Lock()
        self.requests = 0
        self.corrupt = 0
        self.reason = ""
        self.newer_than = 0.0
        self._whole = 0
        self._bad: dict[str, float] = {}

    def share(self) -> Fetcher:
        """One more source uses this; each must `close` it."""
        with self._lock:
            self._users += 1
        return self

    def close(self) -> None:
        """The last user's call ends the connections."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self._turns.closing.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._client.close()
            if self._cache is not None:
                self._cache.close()

    def get(
        self,
        key: str,
        address: str,
        check: Callable[[bytes, str], str | None],
        clean: Callable[[bytes], bytes] | None = None,
    ) -> bytes | None:
        """A body, from the cache if it is fresh or the server says it did not change.

        Args:
            key: Under which it is kept; holds no secret.
            address: What is asked for.
            check: Says in words what is wrong with a body of a content type, None for nothing.
            clean: Takes out of a body what may not be kept; None keeps it as it came.

        Returns:
            The bytes; None where there is no such tile, or none that is whole.

        Raises:
            ImageryError: The server refuses, or does not answer after all attempts.
        """
        kept = self._cache.get(key) if self._cache is not None else None
        held = kept.body if kept is not None and kept.status == 200 else None
        if kept is not None and kept.is_fresh and kept.fetched >= self.newer_than:
            self._whole += kept.status == 200
            return held
        if time.monotonic() < self._bad.get(key, -math.inf):
            return held
        reason, bad = "", False
        for attempt in range(self._manners.attempts):
            if attempt:
                self._turns.sleep(self._pause(attempt))
            try:
                with self._slots:
                    return self._ask(key, address, check, clean, kept)
            except _BadAnswerError as error:
                reason, bad = str(error), True
                if attempt >= 2:  # a tile that is spoilt on the server stays so
                    break
            except _LaterError as error:
                reason, bad = str(error), False
                self._turns.silence(error.seconds)
            except _network_errors() as error:
                name = type(error).__name__
                reason, bad = _NETWORK_WORDS.get(name, name), False
        if bad:
            with self._lock:
                self.corrupt += 1
                self.reason = reason
                self._bad[key] = time.monotonic() + _BAD_FOR_S
            if self.corrupt >= _ENOUGH and not self._whole:
                raise ImageryError(
                    f"the server delivers no pictures: {reason}",
                    path=self._name,
                    hint="Open the address of one of its tiles in a browser to see what it says; "
                    "it may want a key, or the address may be another.",
                )
            return held
        if held is not None and not self.newer_than:
            return held  # old imagery is better than none while the server is away
        raise ImageryError(
            f"the server does not deliver ({reason}, {self._manners.attempts} attempts)",
            path=self._name,
            hint="Try again later; what was fetched is kept.",
        )

    def get_all(self, work: Iterable[tuple[str, str]], check: Callable[[bytes, str], str | None]) -> None:
        """Fetch many (key, address) at once into the cache; raises the first error."""
        futures = [self._pool.submit(self.get, key, address, check) for key, address in work]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()

    def _pause(self, attempt: int) -> float:
        longest: float = min(self._manners.longest_wait_s, self._manners.first_wait_s * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)

    def _ask(
        self,
        key: str,
        address: str,
        check: Callable[[bytes, str], str | None],
        clean: Callable[[bytes], bytes] | None,
        kept: Kept | None,
    ) -> bytes | None:
        self._turns.wait()
        with self._lock:
            self.requests += 1
        headers = {}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        if kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        with self._client.stream("GET", address, headers=headers) as answer:
            if answer.status_code == 304 and kept is not None:
                if self._cache is not None:
                    self._cache.renew(key, _fresh_until(answer.headers, _DEFAULT_FRESH_S))
                return kept.body if kept.status == 200 else None
            self._judge(answer)
            if answer.status_code in _NO_TILE:
                self._keep(key, Kept(404, b"", "", "", "", _fresh_until(answer.headers, _MISSING_FRESH_S)))
                return None
            body = self._body(answer)
            kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
            headers_of = answer.headers
        wrong = check(body, kind)
        if wrong is not None:
            raise _BadAnswerError(wrong)
        body = body if clean is None else clean(body)
        self._whole += 1
        etag, modified = headers_of.get("etag", ""), headers_of.get("last-modified", "")
        self._keep(key, Kept(200, body, kind, etag, modified, _fresh_until(headers_of, _DEFAULT_FRESH_S)))
        return body

    def _keep(self, key: str, kept: Kept) -> None:
        if self._cache is not None:
            self._cache.put(key, kept)

    def _judge(self, answer: httpx2.Response) -> None:
        status = answer.status_code
        if status in _TRY_AGAIN:
            asked = _retry_after(answer.headers.get("retry-after", ""))
            if asked > self._manners.longest_wait_s:
                raise ImageryError(
                    f"the server asks to be left alone for {asked / 60:.0f} minutes (HTTP {status})",
                    path=self._name,
                    hint="Go on then with the same command; what was fetched is kept.",
                )
            raise _LaterError(f"HTTP {status}", asked)
        if status in (401, 402, 403, 407, 451):
            raise ImageryError(
                f"the server refuses (HTTP {status})",
                path=self._name,
                hint="Check the key, and whether its terms allow this use.",
            )
        if status >= 300 and status not in _NO_TILE:
            raise ImageryError(
                f"the server does not understand the address (HTTP {status})",
                path=self._name,
                hint="Check the address.",
            )

    def _body(self, answer: httpx2.Response) -> bytes:
        limit, end = self._manners.max_bytes, time.monotonic() + self._manners.whole_s
        pieces, size = [], 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > limit:
                raise _BadAnswerError(f"a body of more than {limit // 2**20} MiB")
            if time.monotonic() > end:
                raise _BadAnswerError(f"a body that takes more than {self._manners.whole_s:.0f} s")
            pieces.append(piece)
        return b"".join(pieces)


class _LaterError(Exception):
    """The server asks to come again."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


def _network_errors() -> tuple[type[Exception], ...]:
    import httpx2

    return (httpx2.TransportError, httpx2.DecodingError, httpx2.TooManyRedirects)


def _retry_after(text: str) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 where there is none."""
    if text.strip().isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, when.timestamp() - time.time())


def _fresh_until(headers: Mapping[str, Any], default: float) -> float:
    """Unix seconds until which an answer may be used without asking again."""
    now = time.time()
    control = str(headers.get("cache-control", "")).lower()
    if "no-cache" in control or "no-store" in control:
        return now
    age = re.search(r"max-age\s*=\s*\"?(\d{1,10})", control)
    if age:
        return now + min(float(age.group(1)), 365 * 86400.0)
    try:
        return min(
            email.utils.parsedate_to_datetime(str(headers["expires"])).timestamp(), now + 365 * 86400.0
        )
    except (KeyError, TypeError, ValueError):
        return now + default
