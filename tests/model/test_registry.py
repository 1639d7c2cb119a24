"""Every model that depthsvc names says where it is from, and naming it costs no torch."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from depthsvc.errors import ModelError
from depthsvc.model.registry import AUTO, MODELS, registered
from depthsvc.model.spec import RegisteredModel


def test_models_are_the_documented_ones() -> None:
    sizes = ("small", "base", "large")
    assert list(MODELS) == [
        *("midas_small", "embedded", "midas_v21", "dpt_hybrid", "dpt_large", "dpt_beit_large_512"),
        *("leres_res50", "leres_res101"),
        *(f"depth_anything_{size}" for size in sizes),
        *(f"depth_anything_v2_{size}" for size in sizes),
        *(f"depth_anything_v2_indoor_{size}" for size in sizes),
        *(f"depth_anything_v2_outdoor_{size}" for size in sizes),
        *("zoedepth_n", "zoedepth_k", "zoedepth_nk"),
    ]
    assert all(registered(name).name == name for name in MODELS)


def test_auto_is_no_model() -> None:
    assert AUTO not in MODELS


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        ModelError, match=r"^Unknown model 'dpt': use one of auto, midas_small, embedded, .*zoedepth_nk, or "
    ):
        registered("dpt")


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_model_has_a_licence_a_source_and_a_description(model: RegisteredModel) -> None:
    assert model.non_commercial == (model.licence not in ("MIT", "Apache-2.0"))
    assert model.source
    assert model.description


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_model_accepts_sides_that_its_network_can_divide(model: RegisteredModel) -> None:
    assert model.spec.input.multiple == (14 if model.name.startswith("depth_anything") else 32)
    assert all(size % model.spec.input.multiple == 0 for size in model.spec.input.sizes())


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_published_weights_have_https_addresses_and_a_hash(model: RegisteredModel) -> None:
    if model.weights is None:
        assert model.name == "embedded"
        return
    assert model.weights.filenames
    assert model.weights.addresses or model.weights.sha256 is None
    assert all(address.startswith("https://") for address in model.weights.addresses)
    assert model.weights.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", model.weights.sha256)


def test_the_publisher_of_midas_small_put_the_first_digits_of_its_hash_in_its_name() -> None:
    published = MODELS["midas_small"].weights
    assert published
    assert published.sha256
    assert published.filenames[0] == f"midas_v21_small-{published.sha256[:8]}.pt"


@pytest.mark.parametrize("module", ["registry", "weights", "custom", "resolve", "prepare", "loaded"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, depthsvc.model.{module}; print(sorted({{'torch', 'timm', 'onnxruntime'}} & set(sys.modules)))"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout == "[]\n"
