"""Seals on the frames between the service and a replica: nobody else can make, change, repeat or send one back.

Both sides have got a token through Ray, which neither sends. The service begins with a challenge, the replica proves
that it has the token, and every frame carries an HMAC-SHA256. Its key is of this connection and direction only, and it
covers the frame's number. Nothing is encrypted.
"""

from __future__ import annotations

import hmac
import logging
from enum import Enum

logger = logging.getLogger(__name__)

TOKEN_BYTES = CHALLENGE_BYTES = TAG_BYTES = 32
_NUMBER_BYTES = 8


class Direction(Enum):
    """Whom a frame is for."""

    TO_REPLICA = b"to the replica"
    TO_SERVICE = b"to the service"


class BrokenSeal(ConnectionError):
    """A frame is not from the other side, or not the next one."""


def proof(token: bytes, challenge: bytes) -> bytes:
    """What the replica answers to a challenge."""
    return hmac.digest(token, b"proof" + challenge, "sha256")


class Seal:
    """Makes or checks the tags of all frames of one direction, in their order."""

    def __init__(self, token: bytes, challenge: bytes, direction: Direction) -> None:
        self._key = hmac.digest(token, direction.value + challenge, "sha256")
        self._number = 0

    def tag(self, head: bytes, payload: bytes | bytearray) -> bytes:
        """The next frame's tag. The head begins with the lengths of what follows them."""
        self._number += 1
        mac = hmac.new(self._key, self._number.to_bytes(_NUMBER_BYTES, "big"), "sha256")
        mac.update(head)
        mac.update(payload)
        return mac.digest()

    def check(self, tag: bytes, head: bytes, payload: bytes) -> None:
        """Raises BrokenSeal if this is not the tag of the next frame."""
        if not hmac.compare_digest(tag, self.tag(head, payload)):
            raise broken("its seal is broken")


def broken(reason: str) -> BrokenSeal:
    """The error of a frame that is refused, which is logged, since its connection just ends."""
    logger.warning("a lease's frame is refused: %s. Somebody on the network may be changing the traffic.", reason)
    return BrokenSeal(reason)
