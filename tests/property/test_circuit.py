"""Laws of several nodes: none is chosen that fails while another one is well, and none is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aiocouch._transport.circuit import Circuit, Health, Nodes

URLS = ["http://a", "http://b", "http://c"]
urls = st.sampled_from(URLS)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_rests_grow_up_to_half_a_minute(openings: int, drawn: float) -> None:
    circuit, now, rests = Circuit(lambda: drawn), 0.0, []
    for _ in range(openings):
        circuit.failed(now, unreachable=True)
        rests.append(round(circuit.rests_until - now, 6))
        now = circuit.rests_until
    assert rests == sorted(rests)
    assert 0.5 <= rests[0] <= rests[-1] <= 30


@given(st.lists(st.booleans()))
def test_a_circuit_opens_after_three_failures_in_a_row(answers: list[bool]) -> None:
    circuit, in_a_row = Circuit(), 0
    for worked in answers:
        in_a_row = 0 if worked else in_a_row + 1
        if worked:
            circuit.worked()
        else:
            circuit.failed(0)
        assert (circuit.health(0) is Health.OPEN) == (in_a_row >= 3)


class SomeNodes(RuleBasedStateMachine):
    """Nodes that fail and work in any order, beside a model of what is known of each."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = Nodes(URLS, draw=lambda: 1.0)
        self.now = 0.0
        self.failures = dict.fromkeys(URLS, 0)
        self.left_alone: set[str] = set()
        self.being_asked: set[str] = set()

    def well(self) -> list[str]:
        return [url for url in URLS if url not in self.left_alone]

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(url=urls, unreachable=st.booleans())
    def fails(self, url: str, unreachable: bool) -> None:
        self.failures[url] += 1
        is_left_alone = url in self.left_alone or unreachable or self.failures[url] >= 3
        news = self.nodes.failed(url, self.now, unreachable=unreachable)
        assert news == (is_left_alone and url not in self.left_alone)
        if is_left_alone:
            self.left_alone.add(url)

    @rule(url=urls)
    def works(self, url: str) -> None:
        assert self.nodes.worked(url) == (url in self.left_alone)
        self.failures[url] = 0
        self.left_alone.discard(url)

    @rule()
    def somebody_asks(self) -> None:
        for url in self.nodes.to_ask(self.now):
            assert url in self.left_alone
            assert url not in self.being_asked
            self.being_asked.add(url)

    @precondition(lambda self: self.being_asked)
    @rule(data=st.data())
    def an_answer_comes(self, data: st.DataObject) -> None:
        url = data.draw(st.sampled_from(sorted(self.being_asked)))
        self.being_asked.discard(url)
        self.nodes.asked(url)

    @invariant()
    def the_first_that_is_well_is_chosen(self) -> None:
        chosen = self.nodes.choose(self.now)
        assert chosen == next(iter(self.well()), chosen)
        assert chosen in URLS

    @invariant()
    def a_second_try_goes_elsewhere_where_it_can(self) -> None:
        first = self.nodes.choose(self.now)
        second = self.nodes.choose(self.now, instead_of=first)
        assert (second != first) == (len(self.well()) > 1 and any(self.failures.values()))

    @invariant()
    def a_node_that_is_left_alone_is_asked_again(self) -> None:
        later = self.now + 60
        due = self.left_alone - self.being_asked
        for url in self.nodes.to_ask(later):
            self.nodes.asked(url)
            due.discard(url)
        assert not due


TestSomeNodes = SomeNodes.TestCase
