"""Models: networks, their weights, the files made from them and the engines that run those."""
