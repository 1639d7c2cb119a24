"""The loop of a tutorial: OpenCV reads each frame, MiDaS_small sees it, and OpenCV writes its heatmap.

python -m benchmarks.alternatives.naive_video VIDEO OUTPUT
"""

from __future__ import annotations

import sys

import cv2

from benchmarks.alternatives.midas import Midas


def main() -> None:
    source, output = sys.argv[1:]
    midas = Midas()
    video = cv2.VideoCapture(source)
    size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(output, cv2.VideoWriter.fourcc(*"mp4v"), video.get(cv2.CAP_PROP_FPS), size)
    while True:
        read, frame = video.read()
        if not read:
            break
        heatmap = midas.heatmap(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        writer.write(cv2.cvtColor(heatmap, cv2.COLOR_RGB2BGR))
    writer.release()


if __name__ == "__main__":
    main()
