"""How failed authentications are slowed down, and which are told (rule 2)."""

from pointsman_agent.doorkeeper import ADDRESSES_KEPT, LONGEST_DELAY_S, TOLD_A_MINUTE, Doorkeeper


def test_r2_the_first_failure_is_answered_at_once_and_repeated_ones_later_and_later() -> None:
    keeper = Doorkeeper()

    assert [keeper.delay("10.0.0.1", 1.0) for _ in range(8)] == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert keeper.delay("10.0.0.2", 1.0) == 0.0


def test_r2_a_quiet_minute_is_forgiven() -> None:
    keeper = Doorkeeper()
    for _ in range(5):
        keeper.delay("10.0.0.1", 0.0)

    assert keeper.delay("10.0.0.1", 61.0) == 0.0


def test_r2_no_address_is_ever_blocked() -> None:
    keeper = Doorkeeper()

    assert max(keeper.delay("10.0.0.1", 0.0) for _ in range(10_000)) == LONGEST_DELAY_S


def test_r2_ten_failures_a_minute_are_told_and_the_others_counted() -> None:
    keeper, told = Doorkeeper(), []
    for _ in range(25):
        keeper.delay("10.0.0.1", 0.0)
        told.append(keeper.is_told("10.0.0.1", 0.0))
    keeper.delay("10.0.0.1", 59.0)
    keeper.is_told("10.0.0.1", 59.0)
    keeper.delay("10.0.0.1", 100.0)
    later = keeper.is_told("10.0.0.1", 100.0)

    assert told == [0] * TOLD_A_MINUTE + [None] * (25 - TOLD_A_MINUTE)
    assert later == 25 - TOLD_A_MINUTE + 1


def test_only_the_last_addresses_are_remembered() -> None:
    keeper = Doorkeeper()
    for number in range(ADDRESSES_KEPT + 1):
        keeper.delay(f"10.0.{number}", 0.0)

    assert keeper.delay("10.0.0", 0.0) == 0.0
    assert keeper.delay(f"10.0.{ADDRESSES_KEPT}", 0.0) > 0.0
