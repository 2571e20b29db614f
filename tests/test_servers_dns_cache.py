"""The cache, with a clock of the test's own."""

import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.servers.dns_cache import MAX_NEGATIVE_TTL, MAX_TTL, Answer, Cache
from helpers.servers.zone import full_name

A = dns.rdatatype.A
WWW = full_name("www.example.test")
SOA = "example.test. {ttl} IN SOA ns.example.test. h.example.test. 1 2 3 4 {minimum}"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(clock):
    return Cache(clock=clock)


def response(answer="", authority="", rcode="NOERROR"):
    lines = [
        "id 1\nopcode QUERY\nflags QR",
        f"rcode {rcode}",
        ";QUESTION\nwww.example.test. IN A",
        f";ANSWER\n{answer}",
        f";AUTHORITY\n{authority}",
    ]
    # dnspython takes an empty line for the end of the message.
    text = "\n".join(line.strip() for line in lines)
    return Answer.from_response(dns.message.from_text(text))


def address(ttl):
    return response(f"www.example.test. {ttl} IN A 192.0.2.1")


def no_name(ttl=300, minimum=30):
    return response(rcode="NXDOMAIN", authority=SOA.format(ttl=ttl, minimum=minimum))


def test_kept_until_its_ttl_has_passed(cache, clock):
    """An answer is told with less and less TTL, and then no more."""
    cache.put(WWW, A, address(60))
    for passed, ttl in [(0, 60), (0.9, 60), (1, 59), (59.9, 1)]:
        clock.now = 1000 + passed
        assert cache.get(WWW, A).answer[0].ttl == ttl
    clock.now = 1060
    assert cache.get(WWW, A) is None
    assert (cache.hits, cache.misses, len(cache)) == (4, 1, 0)


def test_shortest_ttl_counts(cache, clock):
    """An alias and its address go together, when the first of them must."""
    cache.put(
        WWW,
        A,
        response(
            "www.example.test. 300 IN CNAME x.example.test.\n"
            "x.example.test. 20 IN A 192.0.2.1"
        ),
    )
    clock.now += 15
    assert [rrset.ttl for rrset in cache.get(WWW, A).answer] == [285, 5]
    clock.now += 5
    assert cache.get(WWW, A) is None


@pytest.mark.parametrize(("ttl", "minimum"), [(300, 30), (30, 300)])
def test_negative_answer(cache, clock, ttl, minimum):
    """No such name is kept for the SOA's minimum or TTL, whichever is less."""
    cache.put(WWW, A, no_name(ttl, minimum))
    clock.now += 10
    assert cache.get(WWW, A).authority[0].ttl == 20
    clock.now += 20
    assert cache.get(WWW, A) is None


@pytest.mark.parametrize(
    "answer",
    [
        address(0),
        response(rcode="NXDOMAIN"),
        response(),  # NODATA without SOA
        response("www.example.test. 60 IN CNAME x.elsewhere.test."),  # leads nowhere
        no_name(minimum=0),
        response(rcode="SERVFAIL"),
        response(rcode="REFUSED", authority=SOA.format(ttl=60, minimum=60)),
    ],
)
def test_not_kept(cache, answer):
    """TTL 0, a "no" without SOA, and failures are not remembered."""
    cache.put(WWW, A, answer)
    assert cache.get(WWW, A) is None


def test_case_does_not_matter(cache):
    """www and WWW are one name; A and AAAA are two questions."""
    cache.put(WWW, A, address(60))
    assert cache.get(full_name("WwW.EXAMPLE.test"), A)
    assert cache.get(WWW, dns.rdatatype.AAAA) is None


def test_least_recently_used_goes_first(clock):
    """A full cache gives up the answer that was not asked for the longest."""
    cache = Cache(max_entries=2, clock=clock)
    a, b, c = (full_name(f"{letter}.test") for letter in "abc")
    cache.put(a, A, address(60))
    cache.put(b, A, address(60))
    cache.get(a, A)
    cache.put(c, A, address(60))
    assert cache.get(a, A) and cache.get(c, A)
    assert cache.get(b, A) is None


def test_longest_times():
    """Whatever a TTL says: a day at most, and three hours for a "no"."""
    assert address(2**31 - 1).lifetime(A) == MAX_TTL
    assert no_name(2**31 - 1, 2**32 - 1).lifetime(A) == MAX_NEGATIVE_TTL


def test_what_is_told_can_not_change_what_is_kept(cache):
    """Each answer is a copy."""
    cache.put(WWW, A, address(60))
    cache.get(WWW, A).answer[0].clear()
    assert len(cache.get(WWW, A).answer[0]) == 1


def test_clear(cache):
    """A cleared cache has forgotten its answers, not its counts."""
    cache.put(WWW, A, address(60))
    cache.get(WWW, A)
    cache.clear()
    assert len(cache) == 0
    assert repr(cache) == "<Cache 0 answers, 1 hits, 0 misses>"


def test_room_for_one_at_least():
    """A cache without room is refused."""
    with pytest.raises(ValueError, match="not 0"):
        Cache(max_entries=0)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 30), st.floats(0, 20)), max_size=60
    )
)
def test_against_a_model(steps):
    """Whatever is put and whenever: never more than fits, never a stale answer."""
    clock = Clock()
    cache = Cache(max_entries=4, clock=clock)
    dies: dict[int, float] = {}
    for number, ttl, pause in steps:
        name = full_name(f"n{number}.test")
        answer = cache.get(name, A)
        if answer is None:
            cache.put(name, A, address(ttl))
            dies[number] = clock.now + ttl
        else:
            assert answer.answer[0].ttl > 0
            assert clock.now < dies[number]
            assert answer.answer[0].ttl - 1 < dies[number] - clock.now
        assert len(cache) <= 4
        clock.now += pause
