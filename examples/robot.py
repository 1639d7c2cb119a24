"""A robot that stays clear of things: python robot.py [VIDEO]. The service's address is in DEPTHSVC_URL.

Relative depth is no safety device. Glass, mirrors and bare walls are not seen, and "near" means near for this picture,
not a distance. A robot that can hurt or break something needs bumpers or a lidar, whatever this prints.
"""

import json
import os
import struct
import sys
from collections.abc import Iterator

import cv2
from websockets.sync.client import connect

URL = os.environ.get("DEPTHSVC_URL", "http://localhost:7860").rstrip("/").replace("http", "ws", 1) + "/live"
KEY = os.environ.get("DEPTHSVC_API_KEY")
NEAR, CLOSE_M, SOON_S = 0.7, 0.8, 1.5  # tune them with your camera, at your robot's speed
OPTIONS = {"format": "none", "obstacles": True, "smooth": 0, "every": 1}  # steadied numbers lag behind


def frames(source: int | str) -> Iterator[bytes]:
    """Pictures of a camera or a video, as small JPEG files."""
    camera = cv2.VideoCapture(source)
    if not camera.isOpened():
        sys.exit(f"{source} is no camera and no video that can be opened.")
    while True:
        found, picture = camera.read()
        if not found:
            return
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (640, round(640 * height / width)), interpolation=cv2.INTER_AREA)
        yield cv2.imencode(".jpg", small)[1].tobytes()


def is_blocked(sector: dict[str, float | None]) -> bool:
    """Whether to stop: metres if the model knows them, and the time to contact in any case."""
    metres, contact_s = sector["metres"], sector["contact_s"]
    near = sector["nearness"] > NEAR if metres is None else metres < CLOSE_M
    return near or (contact_s is not None and contact_s < SOON_S)


def decision(sectors: list[dict[str, float | None]]) -> str:
    """Ahead if the middle is free, else towards the freest side, or stop if there is none."""
    if not any(is_blocked(sector) for sector in sectors[1:-1]):
        return "ahead"
    freest = min((0, len(sectors) - 1), key=lambda number: sectors[number]["nearness"])
    if is_blocked(sectors[freest]):
        return "stop"
    return "turn right" if freest else "turn left"


def main(source: int | str) -> None:
    """Print what to do, frame by frame."""
    with connect(URL, additional_headers={"Authorization": f"Bearer {KEY}"} if KEY else None) as service:
        service.send(json.dumps(OPTIONS))
        print("model:", json.loads(service.recv())["model"])
        for number, picture in enumerate(frames(source)):
            service.send(struct.pack("<I", number) + picture)
            answer = service.recv()  # one at a time, so that none is old
            if isinstance(answer, str):  # this frame failed: what is not seen may be there
                print("stop:", json.loads(answer)["error"]["detail"])
                continue
            (length,) = struct.unpack_from("<I", answer)
            print(f"{number}:", decision(json.loads(answer[4 : 4 + length])["obstacles"]))
    print("stop: there are no more pictures")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else 0)
