"""Heatmaps of all photos in a folder, with requests and Pillow only (pip install requests pillow).

    python batch_requests.py photos depth [http://localhost:7860]

`depthsvc batch` does more: it resumes, reports, and uses all cores.
"""

import sys
import time
from io import BytesIO
from pathlib import Path

import requests
from PIL import Image


def heatmap(session, url, path):
    """The PNG heatmap of one photo. Retries when a busy service says to come back later."""
    for _ in range(10):
        with open(path, "rb") as photo:
            answer = session.post(f"{url}/upload", files={"image": photo}, timeout=60)
        if answer.status_code not in (429, 503):
            break
        time.sleep(int(answer.headers.get("Retry-After", 1)))
    if answer.status_code != 200:
        raise ValueError(answer.json()["detail"])
    return answer.content


def main(photos, results, url="http://localhost:7860"):
    Path(results).mkdir(parents=True, exist_ok=True)
    failed = 0
    with requests.Session() as session:
        for path in sorted(Path(photos).iterdir()):
            if path.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp"}:
                continue
            try:
                picture = Image.open(BytesIO(heatmap(session, url, path)))
            except (OSError, ValueError) as error:
                failed += 1
                print(f"{path}: {error}")
                continue
            picture.save(Path(results) / f"depth_{path.stem}.jpg")
            print(f"{path}: {picture.width} x {picture.height}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
