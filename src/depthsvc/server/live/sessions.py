"""The live sessions of a service: how many there may be, and whose they are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from depthsvc.errors import LiveFull, Unavailable


class LiveSessions:
    """Counts and limits them. A client may hold half of the sessions, and one at least."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.draining = asyncio.Event()
        """Set when the service is shutting down: sessions answer what they have accepted, and end."""
        self._of_client: Counter[str] = Counter()
        cv2.setNumThreads(1)  # frames are steadied in threads of this process, and its processors belong to the workers

    def __len__(self) -> int:
        return self._of_client.total()

    def check_room(self, client: str) -> None:
        """Raise LiveFull if there is no room for another session of this client, or Unavailable."""
        if self.draining.is_set():
            raise Unavailable("The service is shutting down. Try again later.")
        if len(self) >= self.limit:
            raise LiveFull(f"All {self.limit} live sessions are in use. Try again later.")
        if client and self._of_client[client] >= max(1, self.limit // 2):
            raise LiveFull("Your address has as many live sessions as one client may have. End one, or try later.")

    @contextmanager
    def admit(self, client: str) -> Iterator[None]:
        """Count a session while it lasts. Raises as `check_room` does."""
        self.check_room(client)
        self._of_client[client] += 1
        try:
            yield
        finally:
            self._of_client[client] -= 1
            self._of_client += Counter()  # forget clients that have none
