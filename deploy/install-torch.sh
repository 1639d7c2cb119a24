#!/bin/sh
# Install PyTorch without CUDA, from its own index, with any pip: deploy/install-torch.sh python3 -m pip
#
# Run it before anything that needs PyTorch. Where the index cannot be reached it says so within seconds and succeeds:
# the next `pip install` then brings pip's default. TORCH_INDEX names a mirror.
set -eu
index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
"$@" install --disable-pip-version-check -qqq --no-deps --timeout 5 --retries 1 \
    -c "$(dirname "$0")/../constraints.txt" --index-url "$index" torch torchvision 2>/dev/null ||
    echo "No CPU build of PyTorch from $index. pip's default follows, which on Linux may add gigabytes of CUDA." >&2
