"""Two meters of one number on a gateway: the second is not published over the first."""

from __future__ import annotations

from nesgw.publishers.identities import Identities, Owner

HOUSE, BARN = Owner("house"), Owner("barn")
WATER = Owner("house", handle=1)


def test_an_id_is_of_whoever_claims_it_first_while_its_readings_are_fresh() -> None:
    identities = Identities()
    assert identities.claim("42", HOUSE) is None
    identities.fresh(HOUSE, True)
    assert identities.claim("42", HOUSE) is None
    assert identities.claim("42", BARN) == HOUSE
    assert identities.claim("43", BARN) is None


def test_a_probe_that_was_moved_takes_its_meter_along() -> None:
    identities = Identities()
    identities.claim("42", HOUSE)
    identities.fresh(HOUSE, True)
    identities.fresh(HOUSE, False)
    assert identities.claim("42", BARN) is None
    assert identities.claim("42", HOUSE) is None, "and back, for the barn has read nothing yet"


def test_a_meter_goes_before_a_sub_meter() -> None:
    identities = Identities()
    assert identities.claim("42", WATER) is None
    assert identities.claim("42", BARN) is None
    assert identities.claim("42", WATER) == BARN


def test_two_sub_meters_of_one_number_are_told_apart_by_their_handles() -> None:
    identities = Identities()
    identities.claim("00000000", WATER)
    assert identities.claim("00000000", WATER) is None
    assert identities.claim("00000000", Owner("house", handle=2)) == WATER
    assert str(WATER) == "sub-meter 1 behind meter house"


def test_sub_meters_may_change_places() -> None:
    """The utility swaps the channels of two devices: within a look or two each is published again."""
    identities, gas = Identities(), Owner("house", handle=2)
    identities.claim("water", WATER)
    identities.claim("gas", gas)
    for _ in range(2):
        identities.claim("gas", WATER)
        identities.claim("water", gas)
    assert identities.claim("gas", WATER) is None
    assert identities.claim("water", gas) is None


def test_what_is_given_back_is_free() -> None:
    identities = Identities()
    identities.claim("42", HOUSE)
    identities.fresh(HOUSE, True)
    identities.release("42", HOUSE)
    assert identities.claim("42", BARN) is None
