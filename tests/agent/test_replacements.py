"""When a second connection of an identity is a station that came back, and when a clone (rule 7)."""

from pointsman_agent.replacements import Newcomer, Replacements

REPLACES, IS_CLONE, WAITS = Newcomer.REPLACES, Newcomer.IS_CLONE, Newcomer.WAITS


def test_r7_a_station_on_a_bad_line_may_come_back_for_ever() -> None:
    one = Replacements()

    assert [one.judge("10.0.0.1", float(second)) for second in range(100)] == [REPLACES] * 100


def test_r7_the_fourth_replacement_in_a_minute_from_two_addresses_is_a_clone_and_the_newest_stays() -> None:
    one = Replacements()
    addresses = ["10.0.0.1", "10.0.0.2"] * 3

    verdicts = [one.judge(address, float(second)) for second, address in enumerate(addresses)]
    assert verdicts == [REPLACES, REPLACES, REPLACES, IS_CLONE, WAITS, WAITS]
    assert one.judge("10.0.0.1", 62.9) is WAITS
    assert one.judge("10.0.0.1", 63.0) is REPLACES


def test_r7_slow_replacements_from_two_addresses_are_none_of_a_clone() -> None:
    one = Replacements()

    assert [one.judge(f"10.0.0.{turn % 2}", turn * 25.0) for turn in range(10)] == [REPLACES] * 10
