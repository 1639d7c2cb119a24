"""The models that depthsvc knows by name. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from depthsvc.errors import ModelError
from depthsvc.imaging.spec import InputSpec, Interpolation, ResizeRule
from depthsvc.model.architecture import COMPACT, MIDAS_SMALL, Architecture

AUTO = "auto"
"""Not a model: MiDaS_small where its weights can be had, the embedded model elsewhere."""


class OutputKind(StrEnum):
    """What a network's numbers are."""

    INVERSE_DEPTH = "inverse_depth"
    DEPTH = "depth"


@dataclass(frozen=True)
class RegisteredWeights:
    """Where a model's weights come from, and how they are recognised."""

    filenames: tuple[str, ...]
    """Names under which the file is published; the first is the one used in the cache."""
    sha256: str
    """The whole SHA-256 in hexadecimal, or the leading digits that the publisher put into the file's name."""
    addresses: tuple[str, ...] = ()
    """Where the file can be downloaded; the next is tried where one fails."""


@dataclass(frozen=True)
class RegisteredModel:
    """One model of the registry."""

    name: str
    description: str
    architecture: Architecture
    input: InputSpec
    output: OutputKind
    weights: RegisteredWeights | None
    """None: the weights are part of this package."""
    licence: str
    source: str
    follows_edges: bool = False
    """Whether its map is given the photo's edges, by `depthsvc.imaging.edges`, as a part of the model."""


_MIDAS = RegisteredModel(
    name="midas_small",
    description="MiDaS v2.1 small (Ranftl et al.), 21.3 million parameters",
    architecture=MIDAS_SMALL,
    input=InputSpec(256, ResizeRule.UPPER_BOUND, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    output=OutputKind.INVERSE_DEPTH,
    weights=RegisteredWeights(
        filenames=("midas_v21_small-70d6b9c8.pt", "midas_v21_small_256.pt"),
        sha256="70d6b9c8",
        addresses=(
            "https://github.com/isl-org/MiDaS/releases/download/v2_1/midas_v21_small_256.pt",
            "https://github.com/AlexeyAB/MiDaS/releases/download/midas_dpt/midas_v21_small-70d6b9c8.pt",
        ),
    ),
    licence="MIT",
    source="https://github.com/isl-org/MiDaS",
)

_EMBEDDED = RegisteredModel(
    name="embedded",
    description="depthsvc's own compact model, 3.1 million parameters, part of the package; not MiDaS",
    architecture=COMPACT,
    input=InputSpec(
        192,
        ResizeRule.LOWER_BOUND,
        32,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation=Interpolation.AREA,
    ),
    output=OutputKind.INVERSE_DEPTH,
    weights=None,
    licence="MIT",
    source="depthsvc",
    follows_edges=True,
)

MODELS: dict[str, RegisteredModel] = {model.name: model for model in (_MIDAS, _EMBEDDED)}


def registered(name: str) -> RegisteredModel:
    """The registered model of this name; ModelError if there is none."""
    try:
        return MODELS[name]
    except KeyError:
        known = ", ".join((AUTO, *MODELS))
        raise ModelError(
            f"Unknown model {name!r}: use one of {known}, or the path of a TorchScript (.pt, .ts) or ONNX "
            "(.onnx) file with its JSON description beside it."
        ) from None
