"""The models that depthsvc knows by name. Does not import torch.

Hashes and sizes of files are those that several public sources state. Where there is no hash, none has been published.
"""

from __future__ import annotations

from depthsvc.errors import ModelError
from depthsvc.imaging.spec import Enlargement, InputSpec, Interpolation, ResizeRule
from depthsvc.model import architecture as networks
from depthsvc.model.architecture import Architecture
from depthsvc.model.spec import MeasuredError, ModelSpec, OutputKind, RegisteredModel, RegisteredWeights

AUTO = "auto"
"""Not a model: MiDaS_small if its weights are available, otherwise the embedded model."""

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of the photos in ImageNet."""
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_NON_COMMERCIAL = "CC-BY-NC-4.0"

_EMBEDDED = RegisteredModel(
    ModelSpec(
        "embedded",
        InputSpec(192, ResizeRule.LOWER_BOUND, 32, *_HALF, interpolation=Interpolation.AREA),
        OutputKind.INVERSE_DEPTH,
        follows_edges=True,
        enlargement=Enlargement.BILINEAR,
    ),
    description="depthsvc's own compact model, 3.1 million parameters, part of the package; not MiDaS",
    architecture=networks.COMPACT,
    weights=None,
    licence="MIT",
    source="depthsvc",
    bf16=MeasuredError("dd6105f140b0bf26dc002073a38ab555a4a24273e7396739d695c94d596a7705", 0.042),
)


def _midas(
    name: str, input: InputSpec, description: str, architecture: Architecture, weights: RegisteredWeights
) -> RegisteredModel:
    spec = ModelSpec(name, input, OutputKind.INVERSE_DEPTH)
    return RegisteredModel(spec, description, architecture, weights, "MIT", "https://github.com/isl-org/MiDaS")


_MIDAS_RELEASES = "https://github.com/isl-org/MiDaS/releases/download"
_DPT_RELEASE = "https://github.com/intel-isl/DPT/releases/download/1_0"
_MIRROR = "https://github.com/AlexeyAB/MiDaS/releases/download/midas_dpt"
_MIDAS = (
    _midas(
        "midas_small",
        InputSpec(256, ResizeRule.UPPER_BOUND, 32, *_IMAGENET),
        "MiDaS v2.1 small (Ranftl et al.), 21 million parameters",
        networks.MIDAS_SMALL,
        RegisteredWeights(
            filenames=("midas_v21_small-70d6b9c8.pt", "midas_v21_small_256.pt", "model-small-70d6b9c8.pt"),
            sha256="70d6b9c891758c67f974a6097fb0c608c7ee67fb81ac3e5588847d5596d56fca",
            addresses=(
                f"{_MIDAS_RELEASES}/v2_1/midas_v21_small-70d6b9c8.pt",
                f"{_MIDAS_RELEASES}/v2_1/model-small-70d6b9c8.pt",
                f"{_MIDAS_RELEASES}/v2_1/midas_v21_small_256.pt",
                f"{_MIRROR}/midas_v21_small-70d6b9c8.pt",
            ),
        ),
    ),
    _midas(
        "midas_v21",
        InputSpec(384, ResizeRule.UPPER_BOUND, 32, *_IMAGENET),
        "MiDaS v2.1 (Ranftl et al.), 104 million parameters",
        networks.MIDAS_V21_384,
        RegisteredWeights(
            filenames=("midas_v21_384.pt", "midas_v21-f6b98070.pt"),
            sha256="f6b980704cfd7259c7cc2b058c2f160159c55e84b3b6c08331b4156a84629f70",
            addresses=(
                f"{_MIDAS_RELEASES}/v2_1/midas_v21_384.pt",
                f"{_MIDAS_RELEASES}/v2_1/midas_v21-f6b98070.pt",
                f"{_MIRROR}/midas_v21-f6b98070.pt",
            ),
            size=422_509_849,
        ),
    ),
    _midas(
        "dpt_hybrid",
        InputSpec(384, ResizeRule.MINIMAL, 32, *_HALF),
        "DPT-Hybrid (Ranftl et al.), ViT-B with ResNet-50, 123 million parameters",
        networks.DPT_HYBRID,
        RegisteredWeights(
            filenames=("dpt_hybrid_384.pt", "dpt_hybrid-midas-501f0c75.pt"),
            sha256="501f0c75b3bca7daec6b3682c5054c09b366765aef6fa3a09d03a5cb4b230853",
            addresses=(
                f"{_MIDAS_RELEASES}/v3/dpt_hybrid_384.pt",
                f"{_DPT_RELEASE}/dpt_hybrid-midas-501f0c75.pt",
            ),
        ),
    ),
    _midas(
        "dpt_large",
        InputSpec(384, ResizeRule.MINIMAL, 32, *_HALF),
        "DPT-Large (Ranftl et al.), ViT-L, 344 million parameters",
        networks.DPT_LARGE,
        RegisteredWeights(
            filenames=("dpt_large_384.pt", "dpt_large-midas-2f21e586.pt"),
            sha256="2f21e586477d90cb9624c7eef5df7891edca49a1c4795ee2cb631fd4daa6ca69",
            addresses=(f"{_MIDAS_RELEASES}/v3/dpt_large_384.pt", f"{_DPT_RELEASE}/dpt_large-midas-2f21e586.pt"),
            size=1_376_378_527,
        ),
    ),
    _midas(
        "dpt_beit_large_512",
        InputSpec(512, ResizeRule.MINIMAL, 32, *_HALF),
        "MiDaS v3.1 (Birkl et al.), BEiT-L at 512 pixels, 345 million parameters",
        networks.DPT_BEIT_LARGE,
        RegisteredWeights(
            filenames=("dpt_beit_large_512.pt",),
            sha256="9e9e900747e9e8b3112df716979219836a27716277b3d0dc53889cbba8b82328",
            addresses=(f"{_MIDAS_RELEASES}/v3_1/dpt_beit_large_512.pt",),
            size=1_581_966_003,
        ),
    ),
)


def _leres(name: str, architecture: Architecture, parameters: int, weights: RegisteredWeights) -> RegisteredModel:
    input = InputSpec(448, ResizeRule.STRETCH, 32, *_IMAGENET, interpolation=Interpolation.BILINEAR)
    return RegisteredModel(
        ModelSpec(name, input, OutputKind.AFFINE_DEPTH, enlargement=Enlargement.BILINEAR),
        f"LeReS (Yin et al.), {parameters} million parameters",
        architecture,
        weights,
        licence="AdelaiDepth-non-commercial",
        source="https://github.com/aim-uofa/AdelaiDepth",
        non_commercial=True,
    )


_LERES = (
    _leres("leres_res50", networks.LERES_RES50, 52, RegisteredWeights(("res50.pth",), None)),
    _leres(
        "leres_res101",
        networks.LERES_RES101,
        133,
        RegisteredWeights(
            filenames=("res101.pth",),
            sha256="1d696b2ef3e8336b057d0c15bc82d2fecef821bfebe5ef9d7671a5ec5dde520b",
            addresses=("https://huggingface.co/lllyasviel/Annotators/resolve/5bc80eec2b4fddbb/res101.pth",),
            size=530_760_553,
        ),
    ),
)

_HUB = "https://huggingface.co"


def _depth_anything(
    name: str,
    architecture: Architecture,
    weights: RegisteredWeights,
    *,
    version: int = 2,
    farthest_m: float | None = None,
    non_commercial: bool = True,
) -> RegisteredModel:
    input = InputSpec(518, ResizeRule.LOWER_BOUND, 14, *_IMAGENET)
    size = name.rpartition("_")[2]
    where = {None: "", 20.0: " in metres, indoors", 80.0: " in metres, outdoors"}[farthest_m]
    return RegisteredModel(
        ModelSpec(
            name,
            input,
            OutputKind.METRES if farthest_m else OutputKind.INVERSE_DEPTH,
            enlargement=Enlargement.BILINEAR_CORNERS if version == 2 else Enlargement.BILINEAR,
            farthest_m=farthest_m,
        ),
        f"Depth Anything V{version} {size}{where} (Yang et al.), {_PARAMETERS[size]} million parameters",
        architecture,
        weights,
        licence=_NON_COMMERCIAL if non_commercial else "Apache-2.0",
        source=_DEPTH_ANYTHING[version],
        non_commercial=non_commercial,
    )


_PARAMETERS = {"small": 25, "base": 97, "large": 335}
_DEPTH_ANYTHING = {
    1: "https://github.com/LiheYoung/Depth-Anything",
    2: "https://github.com/DepthAnything/Depth-Anything-V2",
}


def _hub_file(filename: str, sha256: str, size: int, revision: str) -> RegisteredWeights:
    """`revision`: repository and commit on the hub, as REPOSITORY/resolve/COMMIT."""
    return RegisteredWeights((filename,), sha256, (f"{_HUB}/{revision}/{filename}",), size)


_V1 = "spaces/LiheYoung/Depth-Anything/resolve/main/checkpoints"
_V2 = "depth-anything/Depth-Anything-V2"
_DEPTH_ANYTHING_MODELS = (
    _depth_anything(
        "depth_anything_small",
        networks.DEPTH_ANYTHING_VITS14,
        _hub_file(
            "depth_anything_vits14.pth",
            "59afe57cfd9f4284deaf5b753d954723d7136ae842fba3e068ba03537ca1e60e",
            99_219_880,
            _V1,
        ),
        version=1,
        non_commercial=False,
    ),
    _depth_anything(
        "depth_anything_base",
        networks.DEPTH_ANYTHING_VITB14,
        _hub_file(
            "depth_anything_vitb14.pth",
            "64ae214ae4e27424b644c49464c0aa243016f6f753d95097c8eb9ad0b9cb2d9b",
            389_962_664,
            _V1,
        ),
        version=1,
        non_commercial=False,
    ),
    _depth_anything(
        "depth_anything_large",
        networks.DEPTH_ANYTHING_VITL14,
        _hub_file(
            "depth_anything_vitl14.pth",
            "6c6a383e33e51c5fdfbf31e7ebcda943973a9e6a1cbef1564afe58d7f2e8fe63",
            1_341_401_882,
            _V1,
        ),
        version=1,
        non_commercial=False,
    ),
    _depth_anything(
        "depth_anything_v2_small",
        networks.DEPTH_ANYTHING_V2_VITS,
        _hub_file(
            "depth_anything_v2_vits.pth",
            "715fade13be8f229f8a70cc02066f656f2423a59effd0579197bbf57860e1378",
            99_218_434,
            f"{_V2}-Small/resolve/03876f8651c73a60fe4c2c48294e09fcb6838fcf",
        ),
        non_commercial=False,
    ),
    _depth_anything(
        "depth_anything_v2_base",
        networks.DEPTH_ANYTHING_V2_VITB,
        _hub_file(
            "depth_anything_v2_vitb.pth",
            "0d2b7002e62d39d655571c371333340bd88f67ab95050c03591555aa05645328",
            389_961_218,
            f"{_V2}-Base/resolve/a4e71a6c2ce52fe50df0f212066b0d4a87be9b5e",
        ),
    ),
    _depth_anything(
        "depth_anything_v2_large",
        networks.DEPTH_ANYTHING_V2_VITL,
        _hub_file(
            "depth_anything_v2_vitl.pth",
            "a7ea19fa0ed99244e67b624c72b8580b7e9553043245905be58796a608eb9345",
            1_341_395_338,
            f"{_V2}-Large/resolve/cbbb86a30ce19b5684b7a05155dc7e6cbc7685b9",
        ),
    ),
    _depth_anything(
        "depth_anything_v2_indoor_small",
        networks.DEPTH_ANYTHING_V2_METRIC_HYPERSIM_VITS,
        _hub_file(
            "depth_anything_v2_metric_hypersim_vits.pth",
            "b782898d8a3e8be1f639de33837ed85e9b4b73e40f8f5e5cd99067588d722545",
            99_222_290,
            f"{_V2}-Metric-Hypersim-Small/resolve/3bc65d4e14a6786a61acec16453c50e12bf5f338",
        ),
        farthest_m=20.0,
    ),
    _depth_anything(
        "depth_anything_v2_indoor_base",
        networks.DEPTH_ANYTHING_V2_METRIC_HYPERSIM_VITB,
        _hub_file(
            "depth_anything_v2_metric_hypersim_vitb.pth",
            "9dc9e274c5eff55c6daf27b660c0ced0eca4e8593a6da90cdcb04d2b4d3f3fa2",
            389_965_138,
            f"{_V2}-Metric-Hypersim-Base/resolve/4ebcd7fd0858cbb953451619ca943ea39ec08e00",
        ),
        farthest_m=20.0,
    ),
    _depth_anything(
        "depth_anything_v2_indoor_large",
        networks.DEPTH_ANYTHING_V2_METRIC_HYPERSIM_VITL,
        _hub_file(
            "depth_anything_v2_metric_hypersim_vitl.pth",
            "6f82ff2bc543ac02ddff4aa31fa363676a8305dd3ccf04e80e2af115a044cb6d",
            1_341_401_882,
            f"{_V2}-Metric-Hypersim-Large/resolve/79720800638389a78b2defc92caa885104f69974",
        ),
        farthest_m=20.0,
    ),
    _depth_anything(
        "depth_anything_v2_outdoor_small",
        networks.DEPTH_ANYTHING_V2_METRIC_VKITTI_VITS,
        _hub_file(
            "depth_anything_v2_metric_vkitti_vits.pth",
            "9203e538d35255c90dda4b7fedb47ff33fe725497bcca3b1e53b3a65ee63f0cb",
            99_221_808,
            f"{_V2}-Metric-VKITTI-Small/resolve/c725b8589bdf6ab04072cab74c0467830db80d6d",
        ),
        farthest_m=80.0,
    ),
    _depth_anything(
        "depth_anything_v2_outdoor_base",
        networks.DEPTH_ANYTHING_V2_METRIC_VKITTI_VITB,
        _hub_file(
            "depth_anything_v2_metric_vkitti_vitb.pth",
            "4dad67a7cc10b462bca48e6b8569c762b8eb3c1adada170a3851a6d3ba37bb3e",
            389_964_656,
            f"{_V2}-Metric-VKITTI-Base/resolve/e96fd0c8cedf1825a55b9c61309f754982948df0",
        ),
        farthest_m=80.0,
    ),
    _depth_anything(
        "depth_anything_v2_outdoor_large",
        networks.DEPTH_ANYTHING_V2_METRIC_VKITTI_VITL,
        _hub_file(
            "depth_anything_v2_metric_vkitti_vitl.pth",
            "239b1054a369e66da2576e9a118d6d7c12d90dc8ebe609579a9a09cd8e05fe38",
            1_341_401_064,
            f"{_V2}-Metric-VKITTI-Large/resolve/070e97e4b80e317ec1d03c19927304f4091a180b",
        ),
        farthest_m=80.0,
    ),
)


def _zoedepth(
    name: str, architecture: Architecture, trained_on: str, weights: RegisteredWeights, width: int = 512
) -> RegisteredModel:
    input = InputSpec(
        384,
        ResizeRule.MINIMAL,
        32,
        *_HALF,
        interpolation=Interpolation.BILINEAR_CORNERS,
        width=width,
        padded=True,
    )
    return RegisteredModel(
        ModelSpec(name, input, OutputKind.METRES, mirrored=True),
        f"ZoeDepth in metres, {trained_on} (Bhat et al.), BEiT-L, 345 million parameters",
        architecture,
        weights,
        "MIT",
        _ZOEDEPTH_SOURCE,
    )


_ZOEDEPTH_SOURCE = "https://github.com/isl-org/ZoeDepth"


def _zoedepth_file(filename: str, sha256: str | None = None, size: int | None = None) -> RegisteredWeights:
    return RegisteredWeights((filename,), sha256, (f"{_ZOEDEPTH_SOURCE}/releases/download/v1.0/{filename}",), size)


_ZOEDEPTH = (
    _zoedepth(
        "zoedepth_n",
        networks.ZOE_N,
        "indoors",
        _zoedepth_file(
            "ZoeD_M12_N.pt",
            "c97f94c4d53c5b788af46c5da0462262aebb37ea116fd70014bcbba93146c33b",
            1_443_406_099,
        ),
    ),
    _zoedepth("zoedepth_k", networks.ZOE_K, "outdoors", _zoedepth_file("ZoeD_M12_K.pt"), width=768),
    _zoedepth("zoedepth_nk", networks.ZOE_NK, "indoors and outdoors", _zoedepth_file("ZoeD_M12_NK.pt")),
)

MODELS: dict[str, RegisteredModel] = {
    model.name: model for model in (*_MIDAS[:1], _EMBEDDED, *_MIDAS[1:], *_LERES, *_DEPTH_ANYTHING_MODELS, *_ZOEDEPTH)
}


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
