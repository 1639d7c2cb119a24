"""The models that depthsvc knows by name. Does not import torch."""

from __future__ import annotations

from depthsvc.errors import ModelError
from depthsvc.imaging.spec import Enlargement, InputSpec, Interpolation, ResizeRule
from depthsvc.model.architecture import COMPACT, MIDAS_SMALL
from depthsvc.model.spec import MeasuredError, ModelSpec, OutputKind, RegisteredModel, RegisteredWeights

AUTO = "auto"
"""Not a model: MiDaS_small if its weights are available, otherwise the embedded model."""


_MIDAS = RegisteredModel(
    ModelSpec(
        "midas_small",
        InputSpec(256, ResizeRule.UPPER_BOUND, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        OutputKind.INVERSE_DEPTH,
    ),
    description="MiDaS v2.1 small (Ranftl et al.), 21.3 million parameters",
    architecture=MIDAS_SMALL,
    weights=RegisteredWeights(
        filenames=("midas_v21_small-70d6b9c8.pt", "midas_v21_small_256.pt"),
        sha256="70d6b9c891758c67f974a6097fb0c608c7ee67fb81ac3e5588847d5596d56fca",
        addresses=(
            "https://github.com/isl-org/MiDaS/releases/download/v2_1/midas_v21_small_256.pt",
            "https://github.com/AlexeyAB/MiDaS/releases/download/midas_dpt/midas_v21_small-70d6b9c8.pt",
        ),
    ),
    licence="MIT",
    source="https://github.com/isl-org/MiDaS",
)

_EMBEDDED = RegisteredModel(
    ModelSpec(
        "embedded",
        InputSpec(
            192,
            ResizeRule.LOWER_BOUND,
            32,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            interpolation=Interpolation.AREA,
        ),
        OutputKind.INVERSE_DEPTH,
        follows_edges=True,
        enlargement=Enlargement.BILINEAR,
    ),
    description="depthsvc's own compact model, 3.1 million parameters, part of the package; not MiDaS",
    architecture=COMPACT,
    weights=None,
    licence="MIT",
    source="depthsvc",
    bf16=MeasuredError("306c70285766d80b9d874570c19956806a497a4b65c88ac00c7e05b0efb253d8", 0.041),
)

MODELS: dict[str, RegisteredModel] = {model.name: model for model in (_MIDAS, _EMBEDDED)}


def registered(name: str) -> RegisteredModel:
    """The registered model with this name. Raises ModelError if there is none."""
    try:
        return MODELS[name]
    except KeyError:
        known = ", ".join((AUTO, *MODELS))
        raise ModelError(
            f"Unknown model {name!r}: use one of {known}, or the path of a TorchScript (.pt, .ts) or ONNX "
            "(.onnx) file with its JSON description next to it."
        ) from None
