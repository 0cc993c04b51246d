"""API keys: taken out of addresses before these are shown or written, kept in one file of the user's own."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

import tomlkit

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.address import host_of
from geolocator_gui.paths import user_data_dir

_NAMES = re.compile(
    r"^(api|access|auth|subscription|secret|session|client)?[-_]?(key|token|sig|signature|secret|password|pwd|auth|id)$",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\{(?:api[-_]?key|key|token|access_?token)(\d*)\}", re.IGNORECASE)
_LONG = re.compile(r"^(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_.~-]{24,}$")


def without_key(src: str) -> str:
    """A source's string with every key replaced by `{key}`, safe for logs, manifests and exports."""
    return _taken_out(src)[0]


def keep_key(src: str) -> str:
    """Keep a source's keys in the user's own file and return its string without them.

    The string opens the source again on this machine.

    Raises:
        ImageryError: The file cannot be written.
    """
    bare, keys = _taken_out(src)
    if keys:
        path = _keys_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held = _read(path)
            held[host_of(_web(bare))] = keys
            scratch = path.with_suffix(".new")
            with open(
                os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(tomlkit.dumps(held))
            scratch.replace(path)
        except OSError as error:
            raise ImageryError(f"the key cannot be kept ({error.strerror})", path=path) from error
    return bare


def with_key(address: str) -> str:
    """An address with its `{key}` filled in from the environment or the user's file.

    The environment variable is `GEOLOCATOR_KEY_` and the host in capitals, dots and dashes as underscores.

    Raises:
        ImageryError: There is no key for this host.
    """
    if not _PLACEHOLDER.search(address):
        return address
    host = host_of(address)
    variable = "GEOLOCATOR_KEY_" + re.sub(r"[^A-Z0-9]", "_", host.upper())
    keys = [os.environ[variable]] if variable in os.environ else _read(_keys_file()).get(host, [])

    def fill(match: re.Match[str]) -> str:
        place = int(match.group(1) or 1) - 1
        if not 0 <= place < len(keys):
            raise ImageryError(
                "this source needs a key that is not on this machine",
                path=host,
                hint=f"Put the key into the address once, or into the environment variable {variable}.",
            )
        return quote(keys[place], safe="")

    return _PLACEHOLDER.sub(fill, address)


def _taken_out(src: str) -> tuple[str, list[str]]:
    if "://" not in src:
        return src, []
    prefix = src[: len(src) - len(_web(src))]
    where, mark, fragment = _web(src).partition("#")
    parts = urlsplit(where)
    keys: list[str] = []

    def hide(value: str) -> str:
        keys.append(value)
        return "{key}" if len(keys) == 1 else f"{{key{len(keys)}}}"

    netloc = parts.netloc.rpartition("@")[2]
    path = "/".join(hide(part) if _LONG.match(part) else part for part in parts.path.split("/"))
    query = []
    for pair in parts.query.split("&") if parts.query else []:
        name, equals, value = pair.partition("=")
        secret = value and "{" not in value and (_NAMES.match(name) or _LONG.match(value))
        query.append(name + equals + (hide(_unquoted(value)) if secret else value))
    return prefix + urlunsplit((parts.scheme, netloc, path, "&".join(query), "")) + mark + fragment, keys


def _web(src: str) -> str:
    """Without `wms:` or `wmts:` before the address."""
    return src.split(":", 1)[1] if src.lower().startswith(("wms:", "wmts:")) else src


def _unquoted(value: str) -> str:
    return dict(parse_qsl("v=" + value)).get("v", value)


def _keys_file() -> Path:
    return user_data_dir() / "keys.toml"


def _read(path: Path) -> dict[str, list[str]]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # no keys are kept yet, or the file was spoilt: the source then asks for its key
    return {host: [str(key) for key in keys] for host, keys in found.items() if isinstance(keys, list)}
