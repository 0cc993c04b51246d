import numpy as np

from geolocator_gui.ml.pairs.sampling import plan_batches, spaced_positions


def ring(count: int, k: int) -> np.ndarray:
    """Neighbours on a ring, nearest first."""
    steps = np.array([s for d in range(1, k // 2 + 1) for s in (d, -d)])
    return ((np.arange(count)[:, None] + steps) % count).astype(np.int32)


def test_a_pair_is_used_at_most_once_and_the_rest_is_counted():
    plan = plan_batches(np.arange(1000), ring(1000, 32), 64, np.random.default_rng(0), nearest=8, others=8)
    used = plan.batches.ravel()
    assert len(np.unique(used)) == len(used)
    assert plan.dropped == 1000 - len(used)
    assert plan.dropped < 64


def test_no_satellite_stands_twice_in_a_batch():
    labels = np.random.default_rng(1).integers(0, 120, 1000)
    plan = plan_batches(labels, ring(1000, 32), 48, np.random.default_rng(0), nearest=8, others=8)
    assert len(plan.batches) > 10
    for batch in plan.batches:
        assert len(np.unique(labels[batch])) == 48


def test_neighbours_share_batches():
    def near_share(plan):
        apart = [np.abs(b[:, None] - b[None]) for b in plan.batches]
        return np.mean([((a > 0) & (a <= 16)).any(1).mean() for a in apart])

    rng = np.random.default_rng
    pulled = plan_batches(np.arange(4000), ring(4000, 32), 64, rng(0), nearest=8, others=8)
    random = plan_batches(np.arange(4000), None, 64, rng(0))
    assert near_share(pulled) > 0.9
    assert near_share(random) < 0.6


def test_of_a_list_the_nearest_and_as_many_of_the_rest_are_pulled_in():
    plan = plan_batches(np.arange(5000), ring(5000, 64), 17, np.random.default_rng(2), nearest=8, others=8)
    first = plan.batches[0]
    distance = np.minimum((first - first[0]) % 5000, (first[0] - first) % 5000)[1:]
    assert sorted(distance[:8]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert (distance[8:] > 4).all()
    assert (distance[8:] <= 32).all()


def test_missing_neighbours_are_skipped():
    near = np.full((50, 8), -1, np.int32)
    near[:, 0] = (np.arange(50) + 1) % 50
    plan = plan_batches(np.arange(50), near, 10, np.random.default_rng(0), nearest=4, others=4)
    assert plan.batches.shape == (5, 10)
    assert plan.dropped == 0


def test_the_same_generator_gives_the_same_plan():
    plans = [plan_batches(np.arange(300), ring(300, 16), 32, np.random.default_rng(7)) for _ in range(2)]
    assert np.array_equal(plans[0].batches, plans[1].batches)


def test_few_labels_end_the_plan_instead_of_the_program():
    plan = plan_batches(np.zeros(100, int), None, 4, np.random.default_rng(0))
    assert plan.batches.shape == (0, 4)
    assert plan.dropped == 100


def test_spaced_positions_keep_the_gap():
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 500, (4000, 2))
    chosen = spaced_positions(places, 40, 16.0, rng, radius_m=120.0)
    apart = np.hypot(*(chosen[:, None] - chosen[None]).transpose(2, 0, 1)) + 1e9 * np.eye(40)
    assert apart.min() >= 16.0
    assert np.ptp(chosen, axis=0).max() <= 240.0
