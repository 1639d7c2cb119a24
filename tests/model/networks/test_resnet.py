"""The ResNet encoder is torchvision's, whose names and numbers the official checkpoints have."""

from __future__ import annotations

import torch

from depthsvc.model.architecture import ResNetEncoder
from depthsvc.model.networks.encoder import import_timm
from depthsvc.model.networks.resnet import ResNet


def _torchvisions(encoder: ResNetEncoder) -> torch.nn.Module:
    import_timm()  # guards the import of torchvision, which it needs
    from torchvision.models.resnet import Bottleneck
    from torchvision.models.resnet import ResNet as TorchvisionResNet

    network: torch.nn.Module = TorchvisionResNet(
        Bottleneck, list(encoder.blocks), groups=encoder.groups, width_per_group=encoder.group_width
    )
    network.fc = torch.nn.Identity()
    return network


def test_names_and_features_are_those_of_torchvision() -> None:
    encoder = ResNetEncoder((1, 2, 1, 1), groups=4, group_width=2)
    torch.manual_seed(0)
    reference, network = _torchvisions(encoder).eval(), ResNet(encoder).eval()
    for buffer in reference.buffers():  # running means and variances
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    network.load_state_dict(reference.state_dict())
    x = torch.randn(2, 3, 96, 160)
    with torch.inference_mode():
        features = network(x)
        expected = reference(x)
    assert [tuple(feature.shape[2:]) for feature in features] == [(24, 40), (12, 20), (6, 10), (3, 5)]
    torch.testing.assert_close(features[-1].mean(dim=(2, 3)), expected)
