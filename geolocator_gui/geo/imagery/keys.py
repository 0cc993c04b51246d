"""API keys: taken out of addresses before these are shown or written, kept in one file of the user's own.

What is taken out leaves `{key}`, `{key2}` and so on in its place. The file holds keys by the address that is
left, so that two sources of one host keep their own, and a new key of a source takes the old one's place.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from pathlib import Path
from urllib.parse import quote, unquote, unquote_plus, urlsplit, urlunsplit

import tomlkit

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.address import KEY_PLACE, host_of
from geolocator_gui.paths import user_data_dir

# Rather a name too many: all that a harmless value suffers is to lie in the file.
_SECRET_NAME = re.compile(
    r"key|token|secret|pass|pwd|auth|sig|code|licen[cs]e|credential|ticket|session|login|user|jwt"
    r"|^(api|ak|tk|sk|k|uid|sid|(api|app|client|connect|access)?[-_]?id)$",
    re.IGNORECASE,
)
_LONG = re.compile(r"^(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_.~+=-]{24,}$")
# Such as GoogleMapsCompatible_Level9 and ortho_2020-06_10cm: nobody's key.
_WORDS = re.compile(r"^[A-Za-z]+\d{0,2}([_.-]([A-Za-z]+\d{0,2}|\d{1,8}[a-z]{0,2}))+$")
_FILE_NAME = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
_WEB_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")
_SHORTEST = 6  # what is shorter stands in any text, and is no secret
Keys = dict[int, str]  # by the number of their place, from 1


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
            held[_name_of(bare)] = held.get(_name_of(bare), {}) | keys
            lists = {
                name: [kept.get(number, "") for number in range(1, max(kept, default=0) + 1)]
                for name, kept in held.items()
            }
            scratch = path.with_suffix(".new")
            with open(
                os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(tomlkit.dumps(lists))
            scratch.replace(path)
        except OSError as error:
            raise ImageryError(f"the key cannot be kept ({error.strerror})", path=path) from error
    return bare


def with_key(address: str, source: str | None = None) -> str:
    """An address with its `{key}` filled in.

    A key comes from the source itself, else from the environment, else from the user's file. The environment
    variable is `GEOLOCATOR_KEY_` and the host in capitals, dots and dashes as underscores; that of a source's
    second key ends in `_2`.

    Args:
        address: Of a request, or a template of many.
        source: The address that the user gave, to which the keys belong; None for `address` itself.

    Raises:
        ImageryError: There is no key for this source.
    """
    source = source or address
    keys = _keys_of(source) if KEY_PLACE.search(address) else {}

    def fill(match: re.Match[str]) -> str:
        number = _number(match)
        if number not in keys:
            raise ImageryError(
                "this source needs a key that is not on this machine",
                path=host_of(source),
                hint="Put the key into the address once, or into the environment variable "
                f"{_variable(source, number)}.",
            )
        return quote(keys[number], safe="")

    return KEY_PLACE.sub(fill, address)


def hide_keys(text: str, source: str, *, only_in_links: bool = False) -> str:
    """What a server says, with the keys of its source replaced by `{key}` where it repeats them.

    Args:
        text: A message or a document.
        source: The address that the user gave.
        only_in_links: Leave the words alone, which may be the same by chance, and look at web addresses.
    """
    places = {
        form: _place(number)
        for number, key in _keys_of(source).items()
        if len(key) >= _SHORTEST
        for form in (key, quote(key, safe=""))
    }
    if not places:
        return text
    any_key = re.compile("|".join(re.escape(form) for form in sorted(places, key=len, reverse=True)))

    def hide(part: str) -> str:
        return any_key.sub(lambda found: places[found.group()], part)

    return _WEB_ADDRESS.sub(lambda found: hide(found.group()), text) if only_in_links else hide(text)


def _taken_out(src: str) -> tuple[str, Keys]:
    if "://" not in src:
        return src, {}
    web = _web(src)
    where, mark, fragment = web.partition("#")
    parts = urlsplit(where)
    keys: Keys = {}
    taken = {_number(match) for match in KEY_PLACE.finditer(where)}

    def hide(value: str, *, nameless: bool = False) -> str:
        number = next(number for number in range(1, 1000) if number not in taken)
        taken.add(number)
        keys[number] = value
        # One that no name calls a key may choose what is shown: two of them are two sources.
        return _place(number, "-" + hashlib.sha256(value.encode()).hexdigest()[:8] if nameless else "")

    def hide_value(text: str) -> str:
        """Of `name=value`, or of a value alone."""
        name, equals, value = text.partition("=") if "=" in text.rstrip("=") else ("", "", text)
        plain = unquote_plus(value) if equals else unquote(value)
        if not value or "{" in value:
            return text
        if _SECRET_NAME.search(name):
            return name + equals + hide(plain)
        harmless = _FILE_NAME.search(plain) or _WORDS.match(plain)
        long = _LONG.match(plain) and not harmless
        address = "://" in plain and _taken_out(plain)[1]  # of a picture that the server opens, with its key
        return name + equals + (hide(plain, nameless=True) if long or address else value)

    login, at, host = parts.netloc.rpartition("@")
    words = login.split(":", 1)
    login = ":".join(word and (word if KEY_PLACE.fullmatch(word) else hide(unquote(word))) for word in words)
    path = "".join(hide_value(part) for part in re.split(r"([/;&])", parts.path))
    query = "".join(hide_value(part) for part in re.split(r"([&;])", parts.query))
    bare = urlunsplit((parts.scheme, login + at + host, path, query, ""))
    return src[: len(src) - len(web)] + bare + mark + fragment, keys


def _keys_of(source: str) -> Keys:
    """All keys of a source that are known here."""
    bare, own = _taken_out(source)
    held = _read(_keys_file())
    numbers = {_number(match) for match in KEY_PLACE.finditer(bare)}
    given = {number: os.environ.get(_variable(bare, number), "") for number in numbers}
    # By the host alone: as older versions kept them.
    known = held.get(host_of(_web(bare)), {}) | held.get(_name_of(bare), {})
    return known | {number: key for number, key in given.items() if key} | own


def _variable(source: str, number: int) -> str:
    host = host_of(re.sub(r"\{[^}]*\}\.?", "", _web(source)))
    name = "GEOLOCATOR_KEY_" + re.sub(r"[^A-Z0-9]", "_", host.upper())
    return name if number == 1 else f"{name}_{number}"


def _place(number: int, mark: str = "") -> str:
    return f"{{key{'' if number == 1 else number}{mark}}}"


def _number(match: re.Match[str]) -> int:
    return int(match.group(1) or 1)


def _name_of(bare: str) -> str:
    """Under which the keys of a source are kept."""
    return _web(bare).partition("#")[0].partition("://")[2]


def _web(src: str) -> str:
    """Without `wms:` or `wmts:` before the address."""
    return src.split(":", 1)[1] if src.lower().startswith(("wms:", "wmts:")) else src


def _keys_file() -> Path:
    return user_data_dir() / "keys.toml"


def _read(path: Path) -> dict[str, Keys]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # no keys are kept yet, or the file was spoilt: the source then asks for its key
    return {
        name: {number: str(key) for number, key in enumerate(keys, start=1) if key}
        for name, keys in found.items()
        if isinstance(keys, list)
    }
