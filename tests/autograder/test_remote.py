"""An answer in another process behaves, for a check, like a function here."""

import time

import pytest
import torch
from torch import nn

from autograder.execute import Session
from autograder.limits import Limits
from autograder.remote import Ended, RemoteNetwork

ANSWERS = """
import torch
from torch import nn

def square(x, unused=None): return x ** 2
def add_one(x): return x.add_(1)
def step(model, optimizer, x):
    optimizer.zero_grad()
    loss = model(x).square().sum()
    loss.backward()
    optimizer.step()
    model.eval()
    return loss.item()
def draw(n, generator): return torch.randn(n, generator=generator)
def draw_globally(n): return torch.randn(n)
def remember(model):
    seen = getattr(model, "seen", 0)
    model.seen = seen + 1
    return seen
def make(width): return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))
def quotient(a, b): return a / b
class Sly(float):
    def __sub__(self, other): return 0.0
def sly(): return Sly(3)
def kinds(): return {"a": (1, 2.5, None), "b": [True, "text", {1, 2}]}
def endless():
    while True: pass
def quit(): raise SystemExit
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory):
    with Session(tmp_path_factory.mktemp("remote"), Limits(unsafe=True)) as session:
        outputs, _, why = session.execute(ANSWERS, 60)
        assert (outputs, why) == ([], "")
        yield session


@pytest.fixture
def answer(session: Session):
    remote = session._remote

    def bind(name: str):
        remote.deadline = time.monotonic() + 60
        return remote.bind(name)

    remote.lock([])
    return bind


def test_a_gradient_flows_through_an_answer_and_stops_where_nothing_was_used(answer):
    x = torch.tensor([1.0, -3.0], dtype=torch.float64, requires_grad=True)
    other = torch.ones(2, dtype=torch.float64, requires_grad=True)
    y = answer("square")(2 * x, other)  # of a tensor that is itself the result of something
    assert y.tolist() == [4.0, 36.0]
    by_x, by_other = torch.autograd.grad(y.sum(), (x, other), allow_unused=True)
    assert by_x.tolist() == [8.0, -24.0]
    assert by_other is None
    with torch.no_grad():
        assert not answer("square")(x).requires_grad


def test_a_second_derivative_is_refused_and_not_wrong(answer):
    x = torch.tensor([1.0], requires_grad=True)
    (slope,) = torch.autograd.grad(answer("square")(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        slope.backward()


def test_what_an_answer_does_to_what_it_was_given_is_done_here(answer):
    x = torch.zeros(3)
    answer("add_one")(x)
    assert x.tolist() == [1.0] * 3


def test_a_step_of_an_optimizer_there_is_a_step_here(answer):
    def taken(step) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):  # the second one goes on with the momentum of the first
            step(model, optimizer, torch.ones(4, 2))
        assert not model.training
        return [*model.parameters(), *(p.grad for p in model.parameters())]

    space: dict = {}
    exec(ANSWERS, space)
    for here, there in zip(taken(space["step"]), taken(answer("step")), strict=True):
        assert torch.equal(here, there)


def test_random_numbers_are_those_of_here(answer):
    for draw, mine in (("draw", lambda g: (5, g)), ("draw_globally", lambda g: (5,))):
        generator, twin = (torch.Generator().manual_seed(7) for _ in range(2))
        torch.manual_seed(7)
        first, second = (answer(draw)(*mine(generator)) for _ in range(2))
        assert torch.equal(torch.cat([first, second]), torch.cat([torch.randn(5, generator=twin) for _ in range(2)]))


def test_a_network_that_comes_again_is_the_same_there(answer):
    model = nn.Linear(1, 1)
    assert [answer("remember")(model) for _ in range(3)] == [0, 1, 2]
    assert answer("remember")(nn.Linear(1, 1)) == 0


def test_a_network_made_there_can_be_trained_here(answer):
    network = answer("make")(8)
    assert isinstance(network, RemoteNetwork)
    assert [tuple(p.shape) for p in network.parameters()] == [(8, 2), (8,), (1, 8), (1,)]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    x, want = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0], [-1.0]])
    for _ in range(60):
        loss = (network(x) - want).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    assert answer("make")(8) is not network


def test_results_arrive_as_plain_data_and_no_subclass_does(answer):
    assert answer("kinds")() == {"a": (1, 2.5, None), "b": [True, "text", {1, 2}]}
    got = answer("sly")()
    assert type(got).__name__ == "Sly"
    assert not isinstance(got, float)


def test_an_error_there_has_its_type_and_text_here(answer):
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        answer("quotient")(1, 0)
    with pytest.raises(BaseException) as ended:  # noqa: PT011  (of no type that a check catches)
        answer("quit")()
    assert type(ended.value).__name__ == "SystemExit"
    assert not isinstance(ended.value, Exception | SystemExit)


def test_an_answer_that_does_not_come_back_is_interrupted_and_the_process_goes_on(session, answer):
    endless, remote = answer("endless"), session._remote
    remote.deadline = time.monotonic() + 0.5
    with pytest.raises(Ended) as ended:
        endless()
    assert ended.value.why == "timed-out"
    assert remote.settle(20)
    assert answer("quotient")(6, 3) == 2
