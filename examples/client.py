"""Using the Python clients: python client.py PHOTO... Set the service's address in DEPTHSVC_URL."""

import asyncio
import os
import sys
from pathlib import Path

from depthsvc import AsyncDepthClient, DepthClient
from depthsvc.errors import RequestError

URL = os.environ.get("DEPTHSVC_URL", "http://localhost:7860")


def one_by_one(photos: list[str]) -> None:
    """Heatmap and values of each photo; prints why a photo is refused."""
    with DepthClient(URL) as client:
        print("model:", client.health().model)
        for photo in photos:
            try:
                Path(f"{Path(photo).stem}-heatmap.png").write_bytes(client.upload(photo, colormap="magma"))
                depth = client.depth(photo)
            except RequestError as error:
                print(f"{photo}: {error.code}: {error.detail}")
                continue
            print(f"{photo}: {depth.width} x {depth.height}, inverse depth {depth.min:.3g} to {depth.max:.3g}")


async def all_at_once(photos: list[str]) -> None:
    """The same photos, sent concurrently."""
    async with AsyncDepthClient(URL) as client:
        answers = await asyncio.gather(*(client.depth(photo) for photo in photos), return_exceptions=True)
    for photo, depth in zip(photos, answers, strict=True):
        if not isinstance(depth, BaseException):
            depth.save(f"{Path(photo).stem}-depth.npy")


if __name__ == "__main__":
    one_by_one(sys.argv[1:])
    asyncio.run(all_at_once(sys.argv[1:]))
