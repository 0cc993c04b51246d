import json
import logging
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tomlkit

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.geo.imagery.keys import keep_key, with_key, without_key
from geolocator_gui.geo.projection import tile_bounds
from tests.core.geo.makers import cut_tiles, texture
from tests.core.geo.services import REST, WMS, ZOOM, wmts_page
from tests.core.geo.tile_server import TileServer

COLUMN, ROW = 140_000, 70_000
BOX = tile_bounds(COLUMN, ROW, ZOOM)
KEY = "pk.0123456789abcdefABCDEF0123456789"
SHORT = "hunter22"
ONE = f"#max_zoom={ZOOM}&min_zoom={ZOOM}"


@pytest.fixture(scope="module")
def ground():
    return texture(256, 256)


@pytest.fixture
def server(ground):
    with TileServer(cut_tiles(ground, ZOOM, COLUMN, ROW)) as running:
        yield running


def kept_file():
    return next(Path(os.environ["GEOLOCATOR_HOME"]).rglob("keys.toml"))


def cached(folder):
    """All that a tile cache holds: file names and bytes."""
    held = b""
    for path in folder.iterdir():
        if path.suffix == ".sqlite":
            with sqlite3.connect(path) as file:
                file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        held += path.name.encode() + path.read_bytes()
    return held


def test_keys_never_show(server, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    server.faults = {key: ["403"] for key in server.tiles}
    text = f"{server.template}?api_key={KEY}"
    with open_imagery(text + ONE, tiles_dir=tmp_path / "tiles") as source:
        with pytest.raises(ImageryError) as caught:
            source.read(BOX, 256, 256)
        assert KEY not in repr(source.info)
    assert KEY in server.requests[0]
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text
    assert KEY.encode() not in cached(tmp_path / "tiles")
    bare = keep_key(text)
    assert bare == f"{server.template}?api_key={{key}}"
    assert with_key(bare).endswith(KEY)
    if os.name == "posix":
        assert stat.S_IMODE(kept_file().stat().st_mode) == 0o600
    server.faults = {}
    with open_imagery(bare + ONE, tiles_dir=tmp_path / "tiles") as source:
        assert source.read(BOX, 256, 256).valid.all()
    monkeypatch.setenv("GEOLOCATOR_KEY_HOST_EXAMPLE_ORG", "abc")
    monkeypatch.setenv("GEOLOCATOR_KEY_HOST_EXAMPLE_ORG_2", "d/e")
    assert with_key("https://host.example.org/{z}?k={apikey}") == "https://host.example.org/{z}?k=abc"
    assert with_key("https://{key}:{key2}@host.example.org/{z}") == "https://abc:d%2Fe@host.example.org/{z}"


@pytest.mark.parametrize(
    ("src", "bare"),
    [
        ("?access_token=abc&v=2", "?access_token={key}&v=2"),
        ("?sig=abc&token=d", "?sig={key}&token={key2}"),
        (f"?user=me&pass={SHORT}", "?user={key}&pass={key2}"),
        (f"?passwd={SHORT}", "?passwd={key}"),
        (f"?app_id=x1&app_code={SHORT}", "?app_id={key}&app_code={key2}"),
        (f"?ak={SHORT}", "?ak={key}"),
        (f"?map_key={SHORT}", "?map_key={key}"),
        (f"?x-api-key={SHORT}", "?x-api-key={key}"),
        (f"?license={SHORT}", "?license={key}"),
        (f"?apiToken={SHORT}%2B%2F%3D", "?apiToken={key}"),
        (f"?v=2;key={SHORT}", "?v=2;key={key}"),
        (f"/services;key={SHORT}/{{z}}/{{x}}", "/services;key={key}/{z}/{x}"),
        (f"/services;a=1;key={KEY}/{{z}}/{{x}}", "/services;a=1;key={key}/{z}/{x}"),
        (f"/{KEY}/{{z}}/{{x}}/{{y}}", "/{key-731e588e}/{z}/{x}/{y}"),
        (f"?url=https%3A%2F%2Fs3%2Fx.tif%3Fsig%3D{SHORT}", "?url={key-40f905b9}"),
        ("?key={key}&token=abc", "?key={key}&token={key2}"),
    ],
)
def test_keys_are_taken_out_of_every_form(src, bare):
    for before, after in (
        ("https://h.org", "https://h.org"),
        ("wms:https://h.org", "wms:https://h.org"),
        (f"https://me:{SHORT}@h.org", "https://{key}:{key2}@h.org"),
    ):
        text = before + src + "#layer=o"
        left = without_key(text)
        assert SHORT not in left
        assert KEY not in left
        assert without_key(left) == left
        if "@" not in after:
            assert left == after + bare + "#layer=o"
        if "{key}" not in src:
            web = text.removeprefix("wms:").partition("#")[0]
            filled = with_key(left.removeprefix("wms:").partition("#")[0], web)
            assert without_key(filled) == without_key(web)


@pytest.mark.parametrize(
    "src",
    [
        "/srv/me/key=town.mbtiles",
        "https://h.org/{z}/{x}/{y}.png?v=2&style=plain#max_zoom=20",
        "https://mt1.example.com/vt/lyrs=s&x={x}&y={y}&z={z}",
        "https://h.org/best/Level_TrueColor/2020-01-01/GoogleMapsCompatible_Level9/{z}/{y}/{x}.jpg",
        "https://h.org/orthophoto_2020_of_the_whole_town.tif",
        "wms:https://h.org/wms?map=/srv/orthophoto_2020/all.map&layers=ortho_2020_summer_rgb_10cm",
        "provider://USGS.USImagery#bulk=yes",
    ],
)
def test_ordinary_addresses_stay_as_they_are(src):
    assert without_key(src) == src


def test_sources_of_one_host_keep_their_own_keys(server, tmp_path):
    one, two = (f"{server.template}?key=number-{word}&set={word}{ONE}" for word in ("one", "two"))
    before = f"{server.url}/{{x}}/{{z}}/{{y}}?token={{key}}"
    bare = [keep_key(one), keep_key(two)]
    held = tomlkit.parse(kept_file().read_text())
    kept_file().write_text(tomlkit.dumps(held | {"127.0.0.1": ["of old"]}))
    for text, word in zip(bare, ("one", "two"), strict=True):
        server.key = f"key=number-{word}&set={word}"
        with open_imagery(text, tiles_dir=tmp_path / word) as source:
            assert source.read(BOX, 256, 256).valid.all()
    assert with_key(before).endswith("token=of%20old")
    keep_key(one.replace("number-one", "number-three"))
    assert "key=number-three" in with_key(bare[0].partition("#")[0])
    assert "key=number-two" in with_key(bare[1].partition("#")[0])


def test_two_layers_that_only_their_keys_tell_apart_are_two_sources(tmp_path):
    texts = [f"https://h.org/{name}{KEY}/{{z}}/{{x}}/{{y}}.png" for name in "ab"]
    bare = [keep_key(text) for text in texts]
    assert bare[0] != bare[1]
    assert [with_key(text) for text in bare] == texts
    for text in bare:
        open_imagery(text, tiles_dir=tmp_path).close()
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_a_key_and_a_choice_of_servers(server, tmp_path):
    server.key = f"apikey={SHORT}"
    template = server.template.replace("127.0.0.1", "127.0.0.{s}") + f"?apikey={SHORT}{ONE}&subdomains=1"
    with open_imagery(keep_key(template), tiles_dir=tmp_path) as source:
        assert source.read(BOX, 256, 256).valid.all()


@pytest.mark.parametrize("form", ["query", "path", "login"])
@pytest.mark.parametrize("prefix", ["", "wms:"])
def test_a_wms_that_wants_a_key(server, tmp_path, ground, form, prefix):
    page = WMS.format(doctype="", root="WMS_Capabilities", version="1.3.0", crs="CRS")
    address = f"{server.url}/wms?service=WMS#layer=ortho&tile_px=256&max_zoom={ZOOM}"
    if form == "query":
        server.key, address = f"key={SHORT}", address.replace("?", f"?key={SHORT}&")
    if form == "path":
        server.key, address = f";key={SHORT}/", address.replace("/wms", f"/ows;key={SHORT}/wms")
    if form == "login":
        server.login = "me:p@ss:w/rd"
        address = address.replace("://", "://me:p%40ss%3Aw%2Frd@")
    path = f"/ows;key={SHORT}/wms" if form == "path" else "/wms"
    server.pages[path] = ("text/xml", page.encode())
    server.tile_from_query = lambda request: (ZOOM, COLUMN, ROW)
    for text in (prefix + address, keep_key(prefix + address)):
        tiles = tmp_path / str(len(text))
        with open_imagery(text, tiles_dir=tiles) as source:
            assert source.info.kind == "wms"
            assert np.array_equal(source.read(BOX, 256, 256).pixels, ground)
            assert SHORT not in repr(source.info)
            assert "p%40ss" not in repr(source.info)
        assert SHORT.encode() not in cached(tiles)
    assert server.statuses[401] == 0


@pytest.mark.parametrize("form", ["rest", "kvp"])
@pytest.mark.parametrize("repeats", [True, False])
def test_a_wmts_that_wants_a_key(server, tmp_path, ground, form, repeats):
    """Some servers write the key into the addresses that they name, others leave that to the client."""
    server.key = f"key={SHORT}"
    resource = REST.replace(".png", f".png?key={SHORT}" if repeats else ".png") if form == "rest" else ""
    kind, page = wmts_page(server.url, resource)
    if repeats:
        page = page.replace(b"/kvp?", f"/kvp?key={SHORT}&amp;".encode())
    server.pages["/wmts"] = kind, page
    server.tile_from_query = lambda request: tuple(
        int(request.query[name]) for name in ("TILEMATRIX", "TILECOL", "TILEROW")
    )
    address = f"{server.url}/wmts?key={SHORT}#layer=ortho"
    for text in (address, keep_key(address)):
        tiles = tmp_path / str(len(text))
        with open_imagery(text, tiles_dir=tiles) as source:
            assert source.info.kind == "wmts"
            assert np.array_equal(source.read(BOX, 256, 256).pixels, ground)
            assert SHORT not in repr(source.info)
        assert SHORT.encode() not in cached(tiles)


def test_a_complaint_that_repeats_the_key(server, tmp_path):
    answer = f"<ServiceException>the key {SHORT} has run out</ServiceException>".encode()
    server.pages["/wms"] = ("text/xml", answer)
    with pytest.raises(ImageryError, match=r"the key \{key\} has run out") as caught:
        open_imagery(f"{server.url}/wms?service=WMS&key={SHORT}", tiles_dir=tmp_path)
    assert SHORT not in str(caught.value)


@pytest.mark.parametrize("form", ["query", "login"])
def test_a_raster_that_wants_a_key(server, tmp_path, ground, root, form):
    """In a process of its own: GDAL holds Python's lock while it waits for a server, and so for itself."""
    west, south, east, north = BOX
    profile = {"driver": "GTiff", "width": 256, "height": 256, "count": 3, "dtype": "uint8"}
    place = rasterio.transform.from_bounds(west, south, east, north, 256, 256)
    with rasterio.open(tmp_path / "x.tif", "w", crs="EPSG:3857", transform=place, **profile) as made:
        made.write(ground.transpose(2, 0, 1))
    server.files = {"/x.tif": tmp_path / "x.tif"}
    if form == "query":
        server.key, address = f"token={SHORT}", f"{server.url}/x.tif?token={SHORT}"
    else:
        server.login, address = f"me:{SHORT}", f"{server.url}/x.tif".replace("://", f"://me:{SHORT}@")
    bare = keep_key(address)
    assert SHORT not in bare

    def probe(text):
        words = ["-m", "geolocator_gui.cli", "--debug", "imagery", "probe", text, "--json"]
        done = subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True, timeout=120)
        assert SHORT not in done.stdout + done.stderr
        return done

    assert json.loads(probe(bare).stdout)["sample"]["missing"] == 0
    server.key = "another"
    assert "401" in probe(address.replace("x.tif", "y.tif")).stderr


def test_a_login_goes_to_tiles_and_nowhere_else(server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    server.login = f"me:{SHORT}"
    address = (server.template + ONE).replace("://", f"://me:{SHORT}@")
    bare = keep_key(address)
    assert bare == (server.template + ONE).replace("://", "://{key}:{key2}@")
    for text in (address, bare):
        with open_imagery(text, tiles_dir=tmp_path / str(len(text))) as source:
            assert source.read(BOX, 256, 256).valid.all()
            assert SHORT not in repr(source.info)
    assert not any(SHORT in asked for asked in server.requests)
    server.login = "me:another"
    with open_imagery(bare, tiles_dir=tmp_path / "new") as source, pytest.raises(ImageryError) as caught:
        source.read(BOX, 256, 256)
    assert SHORT not in str(caught.value) + caplog.text
