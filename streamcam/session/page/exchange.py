"""The page's exchange with each browser: the state as it changes, and commands back."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from streamcam.session.page.messages import (
    FALLBACK_REASONS,
    Fallback,
    Offer,
    Request,
    parse_message,
)

if TYPE_CHECKING:
    from streamcam.session.page.access import Role
    from streamcam.session.page.news import News
    from streamcam.session.page.webrtc import WebRtc

PINGS_S = 4.0
"""A phone that was carried away is noticed within one and a half times this time."""

_MOST_MESSAGES_PER_S = 40


class Exchange:
    """The browsers that are sent the state, and that give commands. Belongs to the event loop's thread."""

    def __init__(
        self,
        news: News,
        choices: Mapping[str, Any],
        *,
        lends: bool,
        webrtc: WebRtc | None,
        on_command: Callable[[Request], None],
        on_viewer: Callable[[], None],
    ) -> None:
        """Set up.

        Args:
            news: Wakes those who wait for a state.
            choices: What is sent to every browser first.
            lends: Whether there are cameras to lend.
            webrtc: Connects browsers by WebRTC; None to send images as JPEG only.
            on_command: Receives what browsers ask for.
            on_viewer: Called when a browser has come that has no image yet.
        """
        self._news = news
        self._choices, self._lends = choices, lends
        self._webrtc = webrtc
        self._on_command, self._on_viewer = on_command, on_viewer
        self._state = "{}"
        self._roles: dict[web.WebSocketResponse, Role] = {}

    def set_state(self, state: str) -> None:
        """Show a state, JSON, in all browsers."""
        self._state = state
        self._news.wake()

    async def serve(
        self, browser: web.WebSocketResponse, role: Role, share: Mapping[str, Any] | None
    ) -> None:
        """Send the state as it changes, and take commands, until the browser goes.

        Args:
            browser: Its connection.
            role: What it may do.
            share: What it shows to let others in, if anything.
        """
        lends = self._lends and role != "view"
        webrtc = None if self._webrtc is None else self._webrtc.describe()
        hello = {"choices": self._choices, "role": role, "camera": lends, "webrtc": webrtc}
        await browser.send_json({**hello, "share": share})
        self._roles[browser] = role
        self._news.wake()
        sending = asyncio.create_task(self._send_states(browser))
        try:
            await self._take_messages(browser, role)
        finally:
            sending.cancel()
            del self._roles[browser]
            self._news.wake()
            if self._webrtc is not None:
                self._webrtc.hang_up(browser)
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending

    async def _send_states(self, browser: web.WebSocketResponse) -> None:
        sent = people_sent = ""
        going_on = True
        while going_on:
            state, people = self._state, self._describe_people()
            if people != people_sent:
                people_sent = people
                await browser.send_str(people)
            elif state != sent:
                sent = state
                await browser.send_str(state)
            else:
                going_on = await self._news.wait()

    def _describe_people(self) -> str:
        """Return the message that says how many browsers there are."""
        roles = list(self._roles.values())
        return json.dumps({"people": {"watching": len(roles), "controlling": roles.count("control")}})

    async def _take_messages(self, browser: web.WebSocketResponse, role: Role) -> None:
        loop = asyncio.get_running_loop()
        began_s, count = loop.time(), 0
        async for message in browser:
            if message.type is not WSMsgType.TEXT:
                break
            if loop.time() - began_s > 1.0:
                began_s, count = loop.time(), 0
            count += 1
            if count > _MOST_MESSAGES_PER_S:
                await browser.close(code=1008, message=b"too many messages")
                break
            asked = parse_message(message.data)
            match asked:
                case Request() if role == "control":
                    self._on_command(asked)
                case Request():  # who only looks asks in vain
                    pass
                case Offer(sdp) if self._webrtc is not None:
                    self._webrtc.show(browser, sdp, self._on_viewer)
                case Fallback() if self._webrtc is not None:
                    self._webrtc.do_without(browser, f"is sent JPEGs: {FALLBACK_REASONS[asked.reason]}")
                case _:
                    await browser.close(code=1007, message=b"this is no command")
                    break
