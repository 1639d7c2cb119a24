"""LitServe: one worker process per CPU, each with its share of the threads."""

import argparse
import io

import litserve
import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray
from PIL import Image

from benchmarks.alternatives.midas import Midas, png


class Depth(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.midas = Midas()

    def decode_request(self, request: Request) -> NDArray[np.uint8]:
        return np.asarray(Image.open(io.BytesIO(request["image"].file.read())).convert("RGB"))

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self.midas.heatmap(pixels)

    def encode_response(self, heatmap: NDArray[np.uint8]) -> Response:
        return Response(png(heatmap), media_type="image/png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    server = litserve.LitServer(
        Depth(api_path="/upload"), accelerator="cpu", workers_per_device=arguments.workers, timeout=60
    )
    server.run(host="127.0.0.1", port=arguments.port, generate_client_file=False)


if __name__ == "__main__":
    main()
