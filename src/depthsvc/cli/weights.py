"""`depthsvc weights`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from depthsvc.cli.setting_options import CommandWithSettings, log_to_stderr

if TYPE_CHECKING:
    from depthsvc.model.spec import RegisteredModel
    from depthsvc.settings import Settings


@click.group()
def weights() -> None:
    """Find, download and verify model weights."""


@weights.command("list", cls=CommandWithSettings, settings=("weights_dir", "cache_dir"))
def list_weights(settings: Settings) -> None:
    """List the registered models and where their weights are."""
    from depthsvc.model.registry import MODELS
    from depthsvc.model.weights.files import find_weights

    for model in MODELS.values():
        found = find_weights(model, settings.weights_locations)
        licence = f"{model.licence}, not for commercial use" if model.non_commercial else model.licence
        state = found.path if found else _how_to_get(model)
        click.echo(f"{model.name}\n  {model.description}\n  licence {licence}\n  weights {state}")


def _how_to_get(model: RegisteredModel) -> str:
    """Where weights come from that are not on this machine."""
    assert model.weights
    size = f" ({model.weights.size / 1e6:.0f} MB)" if model.weights.size else ""
    if model.weights.sha256 is None:
        return "not on this machine, and without a published hash: use --weights FILE --weights-sha256 HEX"
    accept = f" --accept-licence {model.licence}" if model.non_commercial else ""
    return f"not on this machine; download them{size}: depthsvc weights fetch {model.name}{accept}"


@weights.command("fetch", cls=CommandWithSettings, settings=("weights_dir", "cache_dir", "accept_licence", "log_level"))
@click.argument("name", default="midas_small")
def fetch_weights(settings: Settings, name: str) -> None:
    """Download the weights of the model NAME, midas_small by default, and print their path."""
    log_to_stderr(settings)
    from depthsvc.model.registry import registered
    from depthsvc.model.weights.files import obtain

    click.echo(obtain(registered(name), settings.weights_locations).path)


@weights.command("path", cls=CommandWithSettings, settings=("weights_dir", "cache_dir"))
@click.argument("name", default="midas_small")
def weights_path(settings: Settings, name: str) -> None:
    """Print the path of a model's weights. Exit status 1 if they are not on this machine."""
    from depthsvc.model.registry import registered
    from depthsvc.model.weights.files import locate

    click.echo(locate(registered(name), settings.weights_locations).path)


@weights.command("verify", cls=CommandWithSettings, settings=("weights", "weights_sha256", "weights_dir", "cache_dir"))
@click.argument("name", default="midas_small")
def verify_weights(settings: Settings, name: str) -> None:
    """Verify the weights on this machine: hash, and every tensor's name, shape and values."""
    from depthsvc.model.networks.checkpoint import load_network
    from depthsvc.model.registry import registered
    from depthsvc.model.weights.files import locate

    model = registered(name)
    found = locate(model, settings.weights_locations)
    load_network(model.architecture, found)
    click.echo(f"{found.path} is valid: SHA-256 {found.sha256}")
