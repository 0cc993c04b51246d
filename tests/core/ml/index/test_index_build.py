"""Building: what an index holds, what it leaves out, what it refuses."""

import json

import geopandas
import numpy as np
import pytest

from geolocator_gui.errors import AreaError, ImageryError, IndexFolderError
from geolocator_gui.events import Note, Progress, finish
from geolocator_gui.geo.chips import ChipCutter
from geolocator_gui.geo.imagery import open_imagery
from geolocator_gui.ml.bundle import find_bundle
from geolocator_gui.ml.encoder import Encoder
from geolocator_gui.ml.index import Index, build_index, estimate_index, read_manifest
from geolocator_gui.ml.index.cells import Cells
from geolocator_gui.ml.index.plan import make_plan
from geolocator_gui.ml.transforms import prepare
from tests.core.ml.index.conftest import ZOOM, lasting_bytes, tiny_model


def test_every_cell_is_embedded_or_counted(whole):
    index = Index.open(whole)
    manifest = index.manifest
    assert index.count > 30
    assert index.count + sum(manifest.skipped.values()) == manifest.parts[0].candidates
    assert manifest.skipped["missing"] > 0
    assert index.vectors.shape == (index.count, 64)
    assert index.chips.missing.max() <= 0.1


def test_a_vector_is_that_of_its_chip(whole, world):
    index = Index.open(whole)
    rows = np.array([0, index.count // 2, index.count - 1])
    bundle = find_bundle(world / "model")
    with (
        open_imagery(world / "ground.mbtiles") as source,
        Encoder(bundle, threads=1, backend="torch", precision="fp32") as encoder,
    ):
        images, _ = ChipCutter(source, source_px=48).cut(index.chips.grid.take(rows))
        prepared = np.stack([prepare(image, "satellite", bundle.config) for image in images])
        expected = encoder.embed(prepared, "satellite")
    assert np.abs(index.vectors[rows].astype(np.float32) - expected).max() < 1e-3


def test_table_opens_in_geopandas_with_outlines_and_crs(whole):
    index = Index.open(whole)
    table = geopandas.read_parquet(whole / "chips.parquet")
    assert list(table["id"]) == list(range(index.count))
    assert table.crs.to_epsg() == 4326 or table.crs.to_string() == "OGC:CRS84"
    assert np.allclose(table.geometry.bounds.to_numpy(), index.chips.bounds())
    sides = table.to_crs(table.estimate_utm_crs()).area ** 0.5
    assert sides.to_numpy() == pytest.approx(40.0, rel=0.01)


def test_manifest_has_attribution_relative_paths_and_versions(whole):
    fields = json.loads((whole / "index.json").read_text())
    assert fields["imagery"][0]["attribution"] == "Nobody, public domain"
    assert fields["imagery"][0]["source"] == "../ground.mbtiles"
    assert fields["encoder"]["backend"]
    assert fields["encoder"]["precision"]
    assert str(whole.parent) not in (whole / "index.json").read_text()


def test_same_command_takes_a_whole_index_as_it_is(copy, config, world):
    moved = config.model_copy(update={"imagery": (str(copy.parent / "ground.mbtiles"),)})
    before = lasting_bytes(copy)
    summary = finish(build_index(moved, copy))
    assert summary.reused
    assert lasting_bytes(copy) == before


def test_other_settings_in_the_same_folder_are_refused(copy, config):
    other = config.model_copy(update={"imagery": (str(copy.parent / "ground.mbtiles"),), "overlap": 0.25})
    with pytest.raises(IndexFolderError, match="another area, imagery, grid or model"):
        finish(build_index(other, copy))


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path, config):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").touch()
    with pytest.raises(IndexFolderError, match=r"not empty and not an index \(it holds 'holiday.jpg'\)"):
        finish(build_index(config, tmp_path / "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["holiday.jpg"]


def test_stopped_build_continues_to_the_same_bits(tmp_path, config, whole):
    steps = build_index(config, tmp_path / "index")
    for event in steps:
        if isinstance(event, Progress) and event.done > 16:
            break
    steps.close()
    with pytest.raises(IndexFolderError, match="not finished"):
        Index.open(tmp_path / "index")
    summary = finish(build_index(config, tmp_path / "index"))
    assert not summary.reused
    assert lasting_bytes(tmp_path / "index") == lasting_bytes(whole)


def test_area_without_imagery_is_a_clear_error(tmp_path, config):
    """Within the extent of the imagery, on the tile that is missing."""
    away = config.model_copy(update={"bbox": (12.262766, 60.763837, 12.263525, 60.764208)})
    with pytest.raises(ImageryError, match="no chip of the area shows any imagery"):
        finish(build_index(away, tmp_path / "index"))


def test_imagery_smaller_than_a_chip_is_refused(tmp_path, shared_dir, config):
    tif = shared_dir / "real" / "colorado_15cm_utm13.tif"
    small = config.model_copy(update={"imagery": (str(tif),), "side_m": 80.0})
    with pytest.raises(AreaError, match="smaller than one chip"):
        finish(build_index(small, tmp_path / "index"))


def test_real_imagery_with_a_gap(tmp_path, shared_dir, config):
    source = shared_dir / "real" / "nairobi.mbtiles"
    summary = finish(build_index(config.model_copy(update={"imagery": (str(source),)}), tmp_path / "index"))
    assert summary.chips > 100
    assert summary.skipped["blank"] > 500


def test_coarse_imagery_is_said(tmp_path, config, world):
    tiny_model(tmp_path / "fine", satellite_source_px=1024)
    asked = config.model_copy(update={"model": str(tmp_path / "fine"), "batch_size": 16})
    notes = [event.text for event in build_index(asked, tmp_path / "index") if isinstance(event, Note)]
    assert any("times coarser" in text for text in notes)
    assert read_manifest(tmp_path / "index").imagery[0].coarser_by > 2


def test_levels_of_detail_are_parts_of_one_index(tmp_path, config):
    asked = config.model_copy(update={"levels": (1, 2, 4)})
    notes = [event.text for event in build_index(asked, tmp_path / "index") if isinstance(event, Note)]
    assert any(text.startswith("Level 4 is left out: ") for text in notes)
    index = Index.open(tmp_path / "index")
    assert set(index.chips.grid.level.tolist()) == {1, 2}
    assert set(np.round(index.chips.side_m).tolist()) == {40.0, 80.0}
    again = Cells(tmp_path / "index", index.manifest)
    assert again.candidates == index.count + sum(index.manifest.skipped.values())


def test_estimate_counts_what_the_build_makes(world, config, whole):
    found = estimate_index(config)
    manifest = read_manifest(whole)
    assert found.chips == manifest.parts[0].candidates
    assert 10 <= found.tiles <= 15
    assert found.seconds > 0
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    assert 0.4 * size < found.bytes < 2.5 * size
    assert ZOOM == 19


def test_tiles_of_huge_areas_are_reckoned(config, monkeypatch):
    from geolocator_gui.ml.index import estimate

    counted = estimate_index(config).tiles
    monkeypatch.setattr(estimate, "_COUNTED_CHIPS", 1)
    assert estimate_index(config).tiles == pytest.approx(counted, abs=4)


def test_an_area_beside_the_imagery_is_refused_before_anything_starts(config, tmp_path):
    away = config.model_copy(update={"bbox": (10.0, 50.0, 10.01, 50.01)})
    with pytest.raises(ImageryError, match=r"'box around 50.*' lies beside this imagery, which") as caught:
        finish(build_index(away, tmp_path / "index"))
    assert "longitude comes first" in caught.value.hint
    assert not (tmp_path / "index").exists()


def test_swapped_coordinates_are_called_by_their_name(config):
    with open_imagery(config.imagery[0]) as source:
        west, south, east, north = source.info.bounds
    swapped = config.model_copy(update={"bbox": (south, west, north, east)})
    with pytest.raises(ImageryError, match="are swapped: longitude comes first"):
        make_plan(swapped, None, None)


def test_an_area_mostly_beside_the_imagery_is_told(config):
    with open_imagery(config.imagery[0]) as source:
        west, south, east, north = source.info.bounds
    wide = config.model_copy(update={"bbox": (west, south, east + 3 * (east - west), north)})
    notes = make_plan(wide, None, None).notes
    assert any("Only 25.0% of the area lies on the imagery" in note for note in notes)
