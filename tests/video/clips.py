"""Small videos, made with PyAV."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAMES = 64, 48, 10
RATE = 10


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """RGB with a red upper left quarter, and a grey that says which of ten frames it is."""
    pixels = np.full((height, width, 3), 20 + 20 * (index % 10), np.uint8)
    pixels[: height // 2, : width // 2] = (220, 20, 20)
    return pixels


def grey_of(pixels: NDArray[np.uint8]) -> int:
    """The number of a frame from its grey."""
    height, width, _ = pixels.shape
    return round((float(pixels[height * 3 // 4 :, width * 3 // 4 :].mean()) - 20) / 20)


def clip(
    path: Path,
    *,
    ticks: Sequence[int] = tuple(range(0, FRAMES * 100, 100)),
    time_base: Fraction = Fraction(1, 1000),
    size: tuple[int, int] = (WIDTH, HEIGHT),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    sound: str | None = None,
    channels: str = "mono",
    rate: Fraction = Fraction(RATE),
    turn: int = 0,
    full_range: bool = False,
    matrix: int = 6,
    options: dict[str, str] | None = None,
    aspect: Fraction = Fraction(1),
) -> Path:
    """A video of one picture at each of `ticks` of `time_base`, and a second of a tone in the codec `sound`."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = *size, pixel_format
        context.time_base = stream.time_base = time_base
        context.colorspace, context.color_range = matrix, 2 if full_range else 1
        context.sample_aspect_ratio = aspect
        context.options = {**({"crf": "10"} if codec == "libx264" else {}), **(options or {})}
        if turn:
            stream.set_display_rotation(turn)
        tone = output.add_stream(sound, 48_000, layout=channels) if sound else None
        for index, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), "rgb24")
            frame = frame.reformat(
                format=pixel_format, dst_colorspace={6: 5}.get(matrix, matrix), dst_color_range=context.color_range
            )
            frame.pts, frame.time_base = tick, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone is not None:
            assert isinstance(tone, av.AudioStream)
            wave = (8000 * np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000)).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(wave[None], "s16", "mono")
            samples.sample_rate, samples.pts, samples.time_base = 48_000, 0, Fraction(1, 48_000)
            output.mux(tone.encode(samples))
            output.mux(tone.encode(None))
    return path


def stretched(path: Path, side: int) -> Path:
    """A PNG video whose file and pictures claim to have `side` x `side` pixels."""
    data = bytearray(clip(path, codec="png", pixel_format="rgb24", matrix=0).read_bytes())
    at = data.find(b"IHDR")
    while at >= 0:
        data[at + 4 : at + 12] = struct.pack(">II", side, side)
        data[at + 17 : at + 21] = struct.pack(">I", zlib.crc32(data[at : at + 17]))
        at = data.find(b"IHDR", at + 4)
    at = data.find(b"stsd")
    struct.pack_into(">HH", data, at + 4 + 8 + 8 + 24, side, side)
    path.write_bytes(data)
    return path


def times(path: Path) -> list[Fraction]:
    """Presentation times of a file's frames in seconds, as FFmpeg reports them."""
    with av.open(str(path)) as container:
        return [Fraction(frame.pts * frame.time_base) for frame in container.decode(video=0)]  # type: ignore[operator]


def heard(path: Path) -> tuple[str, float]:
    """Codec and seconds of a file's sound, without what is damaged."""
    seconds = 0.0
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for packet in container.demux(stream):
            with suppress(av.FFmpegError):
                seconds += sum(frame.samples / frame.sample_rate for frame in packet.decode())
        return stream.codec_context.name, seconds
