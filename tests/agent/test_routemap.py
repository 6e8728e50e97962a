"""The map of the site: what is whole, what is broken, and that everything has a place of its own."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.statuspage.routemap import MOST_MARKED, MOST_NAMED, WIDTH, Drawing, draw


def a_row(station: str, operator: str = "acme", group: str | None = "visitors", **changes: Any) -> dict[str, Any]:
    """Return the row of a station that is connected through to its operator."""
    uplink = None if operator == "local" else {"connected": True, "protocol": "ocpp1.6"}
    row = {"station": station, "group": group, "operator": operator, "connected": True, "uplink": uplink}
    return {**row, "lastError": None, **changes}


def a_supervision(name: str = "acme", reachable: bool | None = True) -> dict[str, Any]:
    return {"name": name, "reachable": reachable}


def links_of(drawing: Drawing) -> list[str]:
    """Return how the links are, those of stations first."""
    return [link.state for link in drawing.links]


def test_nothing_is_broken_where_all_are_connected() -> None:
    drawing = draw([a_row("CP-1"), a_row("LOC-1", "local", "staff")], [a_supervision()])

    assert links_of(drawing) == ["good"] * 4
    assert drawing.words == "No link is broken."
    assert [(node.name, node.below) for node in drawing.nodes] == [
        ("visitors", "1 of 1"),
        ("staff", "1 of 1"),
        ("acme", "reachable"),
        ("this controller", "local"),
    ]


def test_a_station_that_is_not_connected_breaks_its_own_link_alone() -> None:
    error = {"class": "ping", "message": "no pong", "at": "2026-11-22T12:00:00Z"}
    drawing = draw([a_row("CP-1", connected=False, lastError=error), a_row("CP-2")], [a_supervision()])

    assert links_of(drawing) == ["broken", "good", "good"]
    assert drawing.words == "Broken: CP-1 → visitors."
    assert drawing.links[0].words == "CP-1 is not connected (ping: no pong)"


def test_a_supervision_that_is_not_reachable_breaks_the_links_of_its_groups() -> None:
    rows = [a_row("CP-1"), a_row("CP-2", "volt", "partners")]
    drawing = draw(rows, [a_supervision(reachable=False), a_supervision("volt")])

    assert [(link.words, link.state) for link in drawing.links[2:]] == [
        ("visitors → acme: broken", "broken"),
        ("partners → volt: up", "good"),
    ]
    assert drawing.words == "Broken: acme is not reachable."


def test_a_station_without_its_operator_breaks_the_link_of_its_group() -> None:
    drawing = draw([a_row("CP-1", uplink={"connected": False, "protocol": None}), a_row("CP-2")], [a_supervision()])

    assert links_of(drawing) == ["good", "good", "broken"]
    assert drawing.words == "Broken: visitors → acme."


def test_a_supervision_that_nobody_tried_is_neither_whole_nor_broken() -> None:
    drawing = draw([a_row("CP-1", connected=False)], [a_supervision(reachable=None)])

    assert links_of(drawing) == ["broken", "idle"]
    assert drawing.nodes[-1].below == "not tried"


def test_a_station_that_is_yet_to_move_stands_with_the_operator_that_it_has() -> None:
    drawing = draw([a_row("CP-1"), a_row("CP-2", "volt")], [a_supervision(), a_supervision("volt")])

    assert [node.name for node in drawing.nodes] == ["visitors", "visitors", "acme", "volt"]


def test_many_stations_are_marks_and_very_many_a_number() -> None:
    many = draw([a_row(f"CP-{n}", connected=n > 4) for n in range(MOST_NAMED + 8)], [a_supervision()])
    very_many = draw([a_row(f"CP-{n}") for n in range(MOST_MARKED + 1)], [a_supervision()])

    assert (len(many.names), len(many.marks), len(many.links)) == (0, MOST_NAMED + 8, 2)
    assert many.words == f"Broken: 5 of {MOST_NAMED + 8} stations → visitors (CP-0, CP-1, CP-2, …)."
    assert (len(very_many.names), len(very_many.marks)) == (0, 0)
    assert very_many.nodes[0].below == f"{MOST_MARKED + 1} of {MOST_MARKED + 1}"


def test_of_a_lot_that_is_broken_the_words_name_some() -> None:
    drawing = draw([a_row(f"CP-{n}", connected=False) for n in range(9)], [a_supervision()])

    assert drawing.words.endswith("CP-5 → visitors; and 3 more.")


def test_a_site_without_a_bundle_is_an_empty_map() -> None:
    assert (draw([], []).nodes, draw([], []).words) == ([], "No link is broken.")


@given(
    st.lists(
        st.tuples(st.sampled_from(["local", "acme", "volt"]), st.sampled_from([None, "a", "b", "c"]), st.booleans()),
        max_size=60,
    )
)
def test_no_two_boxes_cover_each_other_and_nothing_is_outside(stations: list[tuple[str, str | None, bool]]) -> None:
    rows = [a_row(f"CP-{n}", operator, group, connected=up) for n, (operator, group, up) in enumerate(stations)]
    drawing = draw(rows, [a_supervision(), a_supervision("volt", reachable=None)])

    for x in {node.x for node in drawing.nodes}:
        column = sorted((node for node in drawing.nodes if node.x == x), key=lambda node: node.y)
        assert all(upper.y + upper.height < lower.y for upper, lower in pairwise(column))
    for node in drawing.nodes:
        assert 0 <= node.y <= node.y + node.height <= drawing.height
        assert drawing.left <= node.x <= node.x + node.width <= WIDTH
    assert all(drawing.left <= mark.x <= WIDTH and 0 <= mark.y <= drawing.height for mark in drawing.marks)
