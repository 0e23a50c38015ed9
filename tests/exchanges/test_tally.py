from trade_platform.exchanges.tally import LARGEST, LONGEST, OTHER, Tally


def test_names_are_counted() -> None:
    tally = Tally()
    for name in ("a", "b", "a"):
        tally.note(name)
    assert tally == {"a": 2, "b": 1}


def test_neither_the_number_of_names_nor_their_length_is_up_to_the_other_side() -> None:
    tally = Tally()
    for number in range(3 * LARGEST):
        tally.note(f"{number}" + "x" * 10 * LONGEST)
    assert len(tally) == LARGEST
    assert tally[OTHER] == 3 * LARGEST - (LARGEST - 1)
    assert max(map(len, tally)) == LONGEST
