"""The typical FastAPI service of a tutorial: one process, with the network called from the route.

uvicorn benchmarks.alternatives.naive:app
"""

from __future__ import annotations

import io

import numpy as np
from fastapi import FastAPI, Response, UploadFile
from PIL import Image

from benchmarks.alternatives.midas import Midas, png

app = FastAPI()
midas = Midas()


@app.post("/upload")
async def upload(image: UploadFile) -> Response:
    pixels = np.asarray(Image.open(io.BytesIO(await image.read())).convert("RGB"))
    return Response(png(midas.heatmap(pixels)), media_type="image/png")
