"""How one file comes over the network: connections that are cut and go on, and what each refusal means.

What comes is in `FILE.part`, what is known of it in `FILE.part.json`: enough for another process to go on (HTTP Range).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli import __version__
from dlcli.core.files import write_text
from dlcli.core.progress import Progress
from dlcli.errors import SurroundingsError, UsageError, from_os_error

# Seconds without a byte until a connection counts as dead.
TIMEOUT = 20.0
# Seconds before each new try; a try that brings new bytes starts the count anew.
PAUSES = (1.0, 2.0, 4.0)
_CHUNK = 1 << 18
# What a server says when it is busy, and not when the file is not there.
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_REASONS = {
    401: "asks for a password",
    403: "refuses it",
    404: "has no such file",
    407: "is behind a proxy that asks for a password",
    410: "has it no more",
    451: "may not give it",
}


class FetchError(SurroundingsError):
    """A file that could not be had from where it was looked for; another address, or a hand, may help."""


class _Cut(Exception):
    """A connection ended before its time; another one may go on."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file somewhere else, and what vouches for it.

    Attributes:
        address: http or https.
        size: in bytes, where stated.
        hash: hexadecimal digits; empty where nobody states one.
        algorithm: of the hash, as hashlib calls it.
        source: who states the hash.
    """

    address: str
    size: int | None = None
    hash: str = ""
    algorithm: str = "sha256"
    source: str = ""

    @property
    def name(self) -> str:
        """What the file is called."""
        return urllib.parse.unquote(urllib.parse.urlsplit(self.address).path.rpartition("/")[2])

    def at(self, mirror: str) -> str:
        """Return the address, or that of the same name under another base address.

        Raises:
            UsageError: the mirror is no address.
        """
        if not mirror:
            return self.address
        if not re.match(r"https?://[^/\s]+", mirror):
            raise UsageError(f"--mirror: expected an address such as https://host/folder, got {mirror!r}")
        return f"{mirror.rstrip('/')}/{urllib.parse.quote(self.name)}"

    def altered(self, address: str, expected: str, found: str) -> FetchError:
        """Return the error that what came from an address is not what is stated."""
        source = f" ({self.source})" if self.source else ""
        return FetchError(
            f"{self.name} from {address} is not the file that is stated: expected {expected}{source}, got {found}; "
            "nothing of it was kept",
            hint="Try again, or take it from elsewhere",
        )


class Transfer:
    """What has come of a file so far, and how to go on.

    Args:
        remote: the file.
        address: where to take it from.
        path: where it shall be in the end; this writes beside it.
        progress: told of what comes, and of what is cut.
    """

    def __init__(self, remote: Remote, address: str, path: Path, progress: Progress) -> None:
        self.remote, self.address, self.path, self.progress = remote, address, path, progress
        self.part = path.with_name(f"{path.name}.part")
        self.received = 0
        self._about = path.with_name(f"{path.name}.part.json")
        self._total = remote.size
        self._reached = False

    @property
    def have(self) -> int:
        """How many bytes have come."""
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        """Remove what has come."""
        self.part.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def complete(self) -> None:
        """Bring what is missing, over as many connections as that takes.

        Raises:
            FetchError: it cannot be had there.
            SurroundingsError: the disk is full, or not writable.
        """
        failures, furthest = 0, self.have
        while self.remote.size is None or self.have != self.remote.size:
            try:
                with self._connected() as (response, start):
                    self._receive(response, start)
                return
            except _Cut as cut:
                failures = failures + 1 if self.have <= furthest else 1
                furthest = max(furthest, self.have)
                if failures > len(PAUSES):
                    raise self._gave_up(cut, failures) from None
                pause = PAUSES[failures - 1]
                self.progress.note(f"{cut} at {in_words(self.have)}: trying again in {pause:g} s")
                time.sleep(pause)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[Any, int]]:
        """Open a connection; give the response, and how many bytes stand before what it brings."""
        start, headers = self._wanted()
        try:
            request = urllib.request.Request(self.address, headers=headers)  # noqa: S310 - of the registry, or --mirror.
            # Its own opener: the one that urllib shares keeps the proxies that it saw first.
            response = urllib.request.build_opener().open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            error.close()
            raise self._answered(error.code, start) from None
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason) from None
        except (http.client.InvalidURL, ValueError) as error:
            raise UsageError(f"{self.address} is no address: {error}") from None
        except (http.client.HTTPException, OSError) as error:
            raise _cut(error) from None
        with response:
            yield response, self._begun(response, start)

    def _wanted(self) -> tuple[int, dict[str, str]]:
        """Return from which byte to ask for, and the headers that say so."""
        headers = {"User-Agent": f"dlcli/{__version__}", "Accept-Encoding": "identity"}
        start = self.have
        if self.remote.size is not None and start > self.remote.size:
            start = 0
        about: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            about = json.loads(self._about.read_text(encoding="utf-8"))
        same = about.get("validator", "") if about.get("address") == self.address else ""
        if not start or not (same or self.remote.hash):
            return 0, headers  # Without a hash nobody would notice two halves of different files.
        headers["Range"] = f"bytes={start}-"
        if same:
            headers["If-Range"] = same
        return start, headers

    def _begun(self, response: Any, start: int) -> int:
        """Look at the head of an answer; return where what it brings belongs."""
        self._reached = True
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            if start:
                self.progress.note(f"the server begins {self.remote.name} anew")
            start = 0
        if response.headers.get_content_type() == "text/html":
            raise self._web_page()
        length = response.headers.get("Content-Length") or ""
        total = start + int(length) if length.isdecimal() else None
        if total is not None and self.remote.size not in (None, total):
            raise self._wrong_size(f"{total:,}")
        self._total = total or self.remote.size
        if not start:
            etag = response.headers.get("ETag", "")
            # A weak tag says that two files mean the same, not that they are the same.
            validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
            write_text(self._about, json.dumps({"address": self.address, "validator": validator}) + "\n")
        return start

    def _receive(self, response: Any, start: int) -> None:
        """Write what comes behind the first `start` bytes."""
        self._require_space(start)
        where = f"going on at {in_words(start)}" if start else f"to {self.path.parent}"
        about = f" ({in_words(self._total)})" if self._total else ""
        self.progress.note(f"fetching {self.address}{about}, {where}")
        self.progress.begin(f"fetching {self.remote.name}, MB", max(1, self._total // 10**6) if self._total else None)
        shown, position = 0, start
        try:
            with self.part.open("r+b" if start else "wb") as file:
                file.truncate(start)
                file.seek(start)
                for chunk in _chunks(response):
                    if not position and re.match(rb"\s*<(!doctype html|html)\b", chunk[:200], re.IGNORECASE):
                        raise self._web_page()
                    file.write(chunk)
                    position += len(chunk)
                    if self.remote.size is not None and position > self.remote.size:
                        raise self._wrong_size("more")
                    self.received += len(chunk)
                    self.progress.advance(position // 10**6 - shown)
                    shown = position // 10**6
        except OSError as error:
            raise from_os_error(error, self.part) from error
        if self._total is not None and position < self._total:
            raise _Cut("the connection was cut")

    def _require_space(self, start: int) -> None:
        missing, free = (self._total or 0) - start, shutil.disk_usage(self.path.parent).free
        if missing > free:
            raise SurroundingsError(
                f"{self.remote.name} needs {in_words(missing)} in {self.path.parent}, and {in_words(free)} are free",
                hint="Free some space, or set DLCLI_HOME to a folder on another disk",
            )

    def _answered(self, code: int, start: int) -> Exception:
        """Return what an answer that is no file means."""
        self._reached = True
        if code == 416 and start:  # There is no such place in the file: it is another one now.
            self.discard()
            return _Cut("the server has no such place in the file")
        if code in _BUSY:
            return _Cut(f"the server is busy ({code})")
        host, reason = urllib.parse.urlsplit(self.address).hostname, _REASONS.get(code, "does not give it")
        return FetchError(f"cannot fetch {self._what}: {host} {reason} ({code})", hint=self._by_hand())

    def _unreachable(self, reason: Any) -> Exception:
        """Return what it means that there is no connection: the end, unless there was one before."""
        host = urllib.parse.urlsplit(self.address).hostname
        if isinstance(reason, ssl.SSLCertVerificationError):
            found = f"the certificate of {host} is not trusted ({reason.verify_message})"
        elif isinstance(reason, socket.gaierror):
            found = f"the name {host} cannot be looked up (is this machine offline?)"
        elif isinstance(reason, ConnectionRefusedError):
            found = f"{host} refuses the connection"
        elif isinstance(reason, TimeoutError):
            found = f"{host} did not answer within {TIMEOUT:g} s"
        else:
            found = f"no connection to {host} ({getattr(reason, 'strerror', None) or reason})"
        if self._reached:
            return _Cut(found)
        return FetchError(f"cannot fetch {self._what}: {found}{_through_proxy(self.address)}", hint=self._by_hand())

    def _gave_up(self, cut: _Cut, tries: int) -> FetchError:
        known = f" of {in_words(self._total)}" if self._total else ""
        have = f"{in_words(self.have)}{known} are kept, and the same command goes on from there. " if self.have else ""
        return FetchError(f"cannot fetch {self._what}: {cut}, {tries} times", hint=f"{have}{self._by_hand()}")

    def _wrong_size(self, found: str) -> FetchError:
        self.discard()
        return self.remote.altered(self.address, f"{self.remote.size:,} bytes", found)

    def _web_page(self) -> FetchError:
        self.discard()
        return FetchError(
            f"cannot fetch {self._what}: a web page came instead of the file (a log-in page of this network?)",
            hint=self._by_hand(),
        )

    @property
    def _what(self) -> str:
        """The file in an error: the hint names its address, but not that of a mirror."""
        return self.remote.name if self.address == self.remote.address else self.address

    def _by_hand(self) -> str:
        return f"By hand: save {self.remote.address} as {self.path}, then run the same command again"


def in_words(size: int) -> str:
    """Return a number of bytes as one reads it: `84.1 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _chunks(response: Any) -> Iterator[bytes]:
    """Yield what comes, as soon as it comes."""
    try:
        while chunk := response.read1(_CHUNK):
            yield chunk
    except (http.client.HTTPException, OSError) as error:
        raise _cut(error) from None


def _cut(error: Exception) -> _Cut:
    return _Cut(f"nothing came for {TIMEOUT:g} s" if isinstance(error, TimeoutError) else "the connection was cut")


def _through_proxy(address: str) -> str:
    """Say which proxy an address is reached through, without the password that its address may hold."""
    parts = urllib.parse.urlsplit(address)
    proxy = urllib.request.getproxies().get(parts.scheme, "")
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return f", through the proxy {urllib.parse.urlsplit(proxy).netloc.rpartition('@')[2]}"
