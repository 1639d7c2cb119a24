"""Gradio: the function behind an interface, one concurrent call per CPU, called through its HTTP API."""

from __future__ import annotations

import argparse

import gradio

from benchmarks.alternatives.midas import Midas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    interface = gradio.Interface(
        Midas().heatmap, gradio.Image(type="numpy"), gradio.Image(format="png"), api_name="depth"
    )
    interface.queue(default_concurrency_limit=arguments.workers, max_size=None)
    interface.launch(server_name="127.0.0.1", server_port=arguments.port, quiet=True)


if __name__ == "__main__":
    main()
