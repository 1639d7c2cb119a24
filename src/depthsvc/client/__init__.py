"""Clients of a depthsvc service: `DepthClient`, and `AsyncDepthClient` for asyncio and trio."""

from __future__ import annotations

from depthsvc.client.asynchronous import AsyncDepthClient
from depthsvc.client.base import DEFAULT_URL
from depthsvc.client.blocking import DepthClient
from depthsvc.imaging.photo.source import PhotoSource

__all__ = ["DEFAULT_URL", "AsyncDepthClient", "DepthClient", "PhotoSource"]
