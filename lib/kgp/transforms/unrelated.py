"""The largest set of people of whom no two are related: a maximum independent set. Pure functions.

It is exact for each cluster of relatives of up to `MAX_EXACT` people: branch and bound over sets of people as bits of
an integer, with leaves taken first (a person with at most one relative is in some largest set) and clusters that fall
apart solved one by one. A person with three or more relatives is branched on: at most 1.39^n steps, milliseconds for
real families. Whoever else would take exponential time: of a larger cluster the person with the most relatives is left
out, again and again, until its parts are small enough to be solved exactly; whoever fits in at the end is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

Graph = Mapping[str, frozenset[str]]

MAX_EXACT = 40


def find_largest_unrelated(graph: Graph) -> set[str]:
    """A largest set of people of whom no two are neighbours.

    Args:
        graph: person → relatives, both ways; in the order in which people are preferred where there is a choice.

    >>> trio = {"f": frozenset("c"), "m": frozenset("c"), "c": frozenset("fm")}
    >>> sorted(find_largest_unrelated(trio))
    ['f', 'm']
    """
    names = list(graph)
    place = {name: i for i, name in enumerate(names)}
    near = [sum(1 << place[other] for other in graph[name]) for name in names]
    chosen = 0
    waiting = list(_split((1 << len(names)) - 1, near))
    solve = _make_solver(near)
    while waiting:
        cluster = waiting.pop()
        if cluster.bit_count() <= MAX_EXACT:
            chosen |= solve(cluster)
        elif (leaf := _find_leaf(cluster, near)) is not None:
            chosen |= 1 << leaf
            waiting += _split(cluster & ~(near[leaf] | 1 << leaf), near)
        else:
            hub = max(_places(cluster), key=lambda i: ((near[i] & cluster).bit_count(), i))
            waiting += _split(cluster & ~(1 << hub), near)
    for i in range(len(names)):
        if not (near[i] | 1 << i) & chosen:
            chosen |= 1 << i
    return {names[i] for i in _places(chosen)}


def _make_solver(near: list[int]) -> Callable[[int], int]:
    """What finds a largest set within a small cluster, exactly."""
    known: dict[int, int] = {0: 0}

    def solve(cluster: int) -> int:
        if (found := known.get(cluster)) is not None:
            return found
        parts = list(_split(cluster, near))
        if len(parts) > 1:
            best = 0
            for part in parts:
                best |= solve(part)
        elif (leaf := _find_leaf(cluster, near)) is not None:
            best = 1 << leaf | solve(cluster & ~(near[leaf] | 1 << leaf))
        else:
            hub = max(_places(cluster), key=lambda i: ((near[i] & cluster).bit_count(), -i))
            with_hub = 1 << hub | solve(cluster & ~(near[hub] | 1 << hub))
            without = solve(cluster & ~(1 << hub))
            best = max(with_hub, without, key=int.bit_count)
        known[cluster] = best
        return best

    return solve


def _find_leaf(cluster: int, near: list[int]) -> int | None:
    """The first who has at most one relative in the cluster."""
    return next((i for i in _places(cluster) if (near[i] & cluster).bit_count() <= 1), None)


def _split(people: int, near: list[int]) -> Iterator[int]:
    """Clusters of relatives among some people."""
    while people:
        cluster, edge = 0, people & -people
        while edge:
            cluster |= edge
            reached = 0
            for i in _places(edge):
                reached |= near[i]
            edge = reached & people & ~cluster
        people &= ~cluster
        yield cluster


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
