"""Neighbour lists: by position from a tree, by similarity from a streamed matrix product.

Both give an int32 array (N, k) of reference rows, best first, filled with -1. The published way computes the
full N x N distance matrix (80 GB for 100 000 pairs in float64) and keeps dicts of lists.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.ml.ranks import BLOCK_BYTES, RowLists, stream_ranks

_QUERIES_AT_ONCE = 8192


def unit_sphere(lonlat: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 2) degrees to (N, 3) points on the unit sphere.

    Straight-line distance on it orders positions as the haversine formula does, across the antimeridian and
    at the poles too.
    """
    lon, lat = np.radians(np.asarray(lonlat, np.float64).reshape(-1, 2)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def neighbours_by_position(
    query: NDArray[np.floating],
    reference: NDArray[np.floating] | None = None,
    *,
    k: int = 128,
    query_label: NDArray[np.integer] | None = None,
    reference_label: NDArray[np.integer] | None = None,
    planar: bool = False,
    workers: int = 1,
) -> NDArray[np.int32]:
    """The k nearest references of each query on the ground, without its own label and no label twice.

    Args:
        query: (N, 2) longitude and latitude in degrees, or metres if `planar`.
        reference: (M, 2) likewise; None for the queries themselves.
        k: Length of the lists.
        query_label: (N,) labels (satellite ids, classes); None: query i belongs to reference i.
        reference_label: (M,) labels; None for the queries' if there are no other references, else 0..M-1.
        planar: The coordinates are easting and northing in metres (CVACT) instead of degrees.
        workers: Threads that search the tree; -1 for all processors.

    Returns:
        (N, k) int32 reference rows, nearest first, -1 where there are no more. Of several references with
        one label the first stands for all.
    """
    from scipy.spatial import cKDTree

    if reference is None:
        reference = query
        reference_label = query_label if reference_label is None else reference_label
    if reference_label is None:
        reference_label = np.arange(len(reference))
    if query_label is None:
        query_label = np.arange(len(query))
    labels, kept = np.unique(reference_label, return_index=True)
    order = np.sort(kept)
    labels = np.asarray(reference_label)[order]
    place = (lambda xy: np.asarray(xy, np.float64)) if planar else unit_sphere
    tree = cKDTree(place(reference[order]))
    found = np.full((len(query), k), -1, np.int32)
    wanted = min(k + 1, len(order))
    for start in range(0, len(query), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        _, near = tree.query(place(query[part]), k=np.arange(1, wanted + 1), workers=workers)
        own = labels[near] == np.asarray(query_label)[part, None]
        found[part] = _without(order[near], own, k)
    return found


def neighbours_by_similarity(
    query: NDArray[np.floating],
    reference: NDArray[np.floating],
    *,
    k: int = 128,
    query_label: NDArray[np.integer] | None = None,
    reference_label: NDArray[np.integer] | None = None,
    leave_out: RowLists | None = None,
    device: str = "cpu",
    block_bytes: int = BLOCK_BYTES,
) -> NDArray[np.int32]:
    """The k most similar references of each query, without its own label and no label twice.

    Args:
        query: (Q, D) unit vectors, float16 or float32.
        reference: (R, D) unit vectors.
        k: Length of the lists.
        query_label: (Q,) labels; None: query i belongs to reference i.
        reference_label: (R,) labels; None for 0..R-1.
        leave_out: Further references kept out of single lists (too near to the positive, marked by the user).
        device: A torch device.
        block_bytes: Size of the similarity buffer.

    Returns:
        (Q, k) int32 reference rows, most similar first, -1 where there are no more.
    """
    if query_label is None:
        query_label = np.arange(len(query))
    if reference_label is None:
        reference_label = np.arange(len(reference))
    own = RowLists.same_label(query_label, reference_label)
    if leave_out is not None:
        own = _joined(own, leave_out)
    found = np.full((len(query), k), -1, np.int32)
    repeated = len(np.unique(reference_label)) < len(reference)
    # A label on several references takes several places of the list: look further down for k different ones.
    depth = k
    if repeated:
        depth = k * int(np.bincount(np.unique(reference_label, return_inverse=True)[1]).max())
    for block in stream_ranks(
        query, reference, k=depth, leave_out=own, device=device, block_bytes=block_bytes
    ):
        top = block.top
        if repeated:
            top = _without(top, _seen_before(np.where(top >= 0, reference_label[top], -1)) | (top < 0), k)
        found[block.start : block.stop, : min(k, top.shape[1])] = top[:, :k]
    return found


def _joined(a: RowLists, b: RowLists) -> RowLists:
    sizes = np.diff(a.offsets) + np.diff(b.offsets)
    owner = np.concatenate([np.repeat(np.arange(len(sizes)), np.diff(one.offsets)) for one in (a, b)])
    rows = np.concatenate([a.rows, b.rows])[np.argsort(owner, kind="stable")]
    return RowLists(np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]), rows)


def _seen_before(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether a label stands further left in its row."""
    order = np.argsort(labels, axis=1, kind="stable")
    ordered = np.take_along_axis(labels, order, 1)
    again = np.zeros(labels.shape, bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    seen = np.zeros(labels.shape, bool)
    np.put_along_axis(seen, order, again, 1)
    return seen


def _without(rows: NDArray[np.integer], drop: NDArray[np.bool_], k: int) -> NDArray[np.int32]:
    """Row lists without the entries to drop, moved together to the left, cut or filled with -1 to k."""
    order = np.argsort(drop, axis=1, kind="stable")[:, :k]
    kept = np.where(np.take_along_axis(drop, order, 1), -1, np.take_along_axis(rows, order, 1))
    result = np.full((len(rows), k), -1, np.int32)
    result[:, : kept.shape[1]] = kept
    return result
