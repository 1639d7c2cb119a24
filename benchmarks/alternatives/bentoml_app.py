"""BentoML: one worker process per CPU, each with its share of the threads.

bentoml serve benchmarks.alternatives.bentoml_app:Depth
"""

from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType
from PIL.Image import Image

from benchmarks.alternatives.midas import Midas, png


@bentoml.service(workers="cpu_count", traffic={"timeout": 60})
class Depth:
    def __init__(self) -> None:
        self.midas = Midas()

    @bentoml.api(route="/upload")
    def upload(self, image: Image) -> Annotated[bytes, ContentType("image/png")]:
        return png(self.midas.heatmap(np.asarray(image.convert("RGB"))))
