"""Tensors: networks, their weights, their TorchScript traces and the engines that run them."""
