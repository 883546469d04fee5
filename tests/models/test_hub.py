"""Hugging Face's hub: whether it can be reached, and doing without it."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("huggingface_hub")

from huggingface_hub import constants

from streamcam.models.hub import find_obstacle, quiet_downloads, without_asking

LATE = type("ReadTimeout", (Exception,), {})
"""Has the name that both HTTP libraries give to an answer that is late."""


class FakeSession:
    """Answers nothing, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, float]] = []
        self._error = error

    def head(self, url: str, *, timeout: float) -> None:
        self.asked.append((url, timeout))
        if self._error is not None:
            raise self._error


def use(monkeypatch: pytest.MonkeyPatch, session: FakeSession) -> FakeSession:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: session)
    return session


def test_a_hub_that_answers_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    session = use(monkeypatch, FakeSession())
    assert find_obstacle() is None
    assert session.asked == [(constants.ENDPOINT, 5.0)]


def test_a_hub_that_is_slow_to_answer_is_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeSession(LATE("timed out")))
    assert find_obstacle() is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError("Name not known\nand more"), "Name not known"), (TimeoutError(), "TimeoutError")],
)
def test_a_hub_without_a_connection_is_one(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    use(monkeypatch, FakeSession(error))
    assert find_obstacle() == f"{constants.ENDPOINT} cannot be reached: {reason}"


def test_nobody_asks_where_nobody_is_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    session = use(monkeypatch, FakeSession(OSError("no")))
    with without_asking():
        assert find_obstacle() is None
    assert session.asked == []
    assert constants.HF_HUB_OFFLINE is False


def test_the_hub_s_account_of_its_attempts_is_kept_quiet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for name in ("huggingface_hub", "huggingface_hub.utils"):  # other libraries' set-up may have changed them
        caplog.set_level(logging.NOTSET, logger=name)
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    with quiet_downloads():
        logging.getLogger("huggingface_hub.utils").warning("Retrying in 1s")
    logging.getLogger("huggingface_hub.utils").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]
