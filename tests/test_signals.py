"""Signals deferred: none is lost, none comes early, and all is as before afterwards."""

import os
import signal
import threading

import pytest

from novasr_np.files.signals import deferred_signals

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are different here")


@pytest.fixture(autouse=True)
def handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_a_signal_waits_until_it_is_looked_for():
    there = []

    def block():
        with deferred_signals() as look:
            look()
            signal.raise_signal(signal.SIGINT)
            there.append("still here")
            look()
            there.append("never here")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert there == ["still here"]


def test_a_signal_nobody_looked_for_comes_at_the_end():
    there = []

    def block():
        with deferred_signals():
            signal.raise_signal(signal.SIGINT)
            there.append("still here")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert there == ["still here"]


def test_no_signal_is_lost_to_an_error():
    def block():
        with deferred_signals():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("inside")

    with pytest.raises(KeyboardInterrupt):
        block()


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with deferred_signals() as look:
            signal.raise_signal(signal.SIGTERM)
            look()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_have_no_handlers():
    def block():
        with deferred_signals() as look:
            look()
        done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert done
