"""helpers.measure.stopwatch"""

from helpers.measure.stopwatch import timed


def test_it_stops_with_its_block():
    """The time grows inside the block and stands still after it."""
    with timed() as block:
        early = block.seconds
        late = block.seconds
    total = block.seconds
    assert 0 <= early <= late <= total == block.seconds


def test_it_reads_as_a_duration():
    """Its repr is a number and a unit of time."""
    with timed() as block:
        pass
    assert repr(block).endswith("s")


def test_it_stops_when_the_block_raises():
    """An exception passes through, and the time until then stands."""
    block = timed()
    try:
        with block:
            raise KeyError
    except KeyError:
        pass
    assert block.seconds == block.seconds
