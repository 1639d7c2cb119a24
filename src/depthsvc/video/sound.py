"""The audio of one video into another: as it is, or encoded again where the other's format cannot hold it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from depthsvc.errors import VideoError
from depthsvc.video.library import av, open_source, reason_of

_NO_PICTURES = 1
"""Largest picture that may be decoded here, in pixels."""
_USUAL_RATE = 48_000
_RATES = {
    "aac": {96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000},
    "libmp3lame": {48_000, 44_100, 32_000},
    "libopus": {48_000},
}
"""Samples a second that an encoder accepts in every kind of file."""
_USUAL_LAYOUTS = {"mono", "stereo"}
_DAMAGE = (av.error.InvalidDataError, av.error.PatchWelcomeError, av.ArgumentError)
"""What a packet of sound that is damaged leads to when it is written."""
_JUMP_S = 1
_TAIL = Fraction(1)
"""Seconds past the end after which no packet of any stream can belong to it."""


class _Track(Protocol):
    """One audio stream on its way into a file."""

    def add(self, packet: av.Packet[av.AudioStream]) -> list[av.Packet[av.AudioStream]]:
        """Packets for the file, of one packet of the source."""

    def finish(self) -> list[av.Packet[av.AudioStream]]:
        """The last packets."""


class Sound:
    """All audio streams of a file, for a file that is being written. Holds one packet at a time.

    `begin` and `end`: time stamps in seconds between which the audio is kept, the first of which becomes 0; None: from
    the first packet, or to the last. `shift`: seconds by which time stamps become smaller.
    """

    def __init__(
        self,
        path: Path,
        output: av.container.OutputContainer,
        *,
        copied: frozenset[str] | None,
        encoder: str,
        shift: Fraction,
        begin: Fraction | None,
        end: Fraction | None,
    ) -> None:
        """Add the streams to `output`. Raises VideoError.

        `copied`: codecs that `output` can hold, by FFmpeg's names; None: all. `encoder`: for others.
        """
        self._output = output
        self._shift = shift
        self._end = end
        self._input = open_source(path, _NO_PICTURES)
        self._tracks: dict[int, _Track] = {}
        self._written: dict[int, Fraction] = {}
        """Time of the last packet of each stream."""
        try:
            for stream in self._input.streams.audio:
                if _is_known(stream):
                    self._tracks[stream.index] = _track(stream, output, copied, encoder, _Timeline(shift, begin, end))
        except BaseException:
            self._input.close()
            raise
        self._packets = self._demuxed()
        self._next = next(self._packets, None)

    def close(self) -> None:
        self._input.close()

    def write_until(self, time: Fraction) -> None:
        """Write what is heard before `time`, in seconds of the new file."""
        while self._next is not None and _time(self._next) - self._shift < time:
            self._write_next()

    def finish(self) -> None:
        """Write the rest."""
        while self._next is not None:
            self._write_next()
        for track in self._tracks.values():
            self._mux(track.finish())

    def _write_next(self) -> None:
        assert self._next is not None
        with suppress(*_DAMAGE):  # as players do
            self._mux(self._tracks[self._next.stream_index].add(self._next))
        self._next = next(self._packets, None)

    def _mux(self, packets: list[av.Packet[av.AudioStream]]) -> None:
        """Write packets whose time increases, in which all formats insist."""
        for packet in packets:
            time = (packet.dts or 0) * packet.time_base
            if time > self._written.get(packet.stream.index, time - 1):
                self._written[packet.stream.index] = time
                self._output.mux(packet)

    def _demuxed(self) -> Iterator[av.Packet[av.AudioStream]]:
        """Packets with time stamps, as far as the file can be read."""
        for stream in self._input.streams:
            stream.discard = av.stream.Discard.default if stream.index in self._tracks else av.stream.Discard.all
        streams = [stream for stream in self._input.streams.audio if stream.index in self._tracks]
        if not streams:
            return
        try:
            for packet in self._input.demux(tuple(streams)):
                if packet.pts is None or not packet.size:
                    continue
                if self._end is not None and _time(packet) > self._end + _TAIL:
                    return
                yield packet
        except av.FFmpegError:  # the rest of a truncated file
            return


class _Timeline:
    """Where the sound of one stream goes in time, and which part of it is kept."""

    def __init__(self, shift: Fraction, begin: Fraction | None, end: Fraction | None) -> None:
        self._shift = shift
        self._begin = begin
        self._end = end
        self._until = Fraction(0)

    def shift(self, time: Fraction, duration: Fraction) -> Fraction | None:
        """Seconds by which what has this time stamp is moved forward, or None if it is left out.

        A time stamp that goes back by more than a second begins a new count after the sound before, as with pictures.
        """
        if time - self._shift < self._until - _JUMP_S:
            self._shift = time - self._until
        if (self._begin is not None and time + duration <= self._begin) or (
            self._end is not None and time >= self._end
        ):
            return None
        self._until = time - self._shift + duration
        return self._shift


class _Copy:
    """Packets as they are."""

    def __init__(self, stream: av.AudioStream, output: av.container.OutputContainer, timeline: _Timeline) -> None:
        self._target = output.add_stream_from_template(stream)
        self._timeline = timeline

    def add(self, packet: av.Packet[av.AudioStream]) -> list[av.Packet[av.AudioStream]]:
        shift = self._timeline.shift(_time(packet), (packet.duration or 0) * packet.time_base)
        if shift is None:
            return []
        ticks = round(shift / packet.time_base)
        assert packet.pts is not None
        packet.pts -= ticks
        packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
        packet.stream = self._target
        return [packet]

    def finish(self) -> list[av.Packet[av.AudioStream]]:
        return []


class _Encode:
    """Packets decoded and encoded with another codec."""

    def __init__(
        self, stream: av.AudioStream, output: av.container.OutputContainer, encoder: str, timeline: _Timeline
    ) -> None:
        source = stream.codec_context
        layout = source.layout.name if source.layout.name in _USUAL_LAYOUTS else "stereo"
        rate = source.sample_rate if source.sample_rate in _RATES[encoder] else _USUAL_RATE
        target = output.add_stream(encoder, rate, layout=layout)
        assert isinstance(target, av.AudioStream)
        self._source = source
        self._target = target
        self._timeline = timeline
        self._kind: tuple[str, str, int] | None = None
        self._resampler: av.AudioResampler | None = None

    def add(self, packet: av.Packet[av.AudioStream]) -> list[av.Packet[av.AudioStream]]:
        try:
            frames = self._source.decode(packet)
        except av.FFmpegError:  # damaged
            return []
        return [coded for frame in frames for coded in self._encoded(frame)]

    def _encoded(self, frame: av.AudioFrame) -> list[av.Packet[av.AudioStream]]:
        if frame.pts is None or frame.time_base is None:
            return []
        shift = self._timeline.shift(frame.pts * frame.time_base, Fraction(frame.samples, frame.sample_rate))
        if shift is None:
            return []
        frame.pts -= round(shift / frame.time_base)
        return [coded for part in self._resampled(frame) for coded in self._target.encode(part)]

    def _resampled(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """The frame as the encoder needs it, even if the source changes in the middle of it."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or kind != self._kind:
            target = self._target.codec_context
            self._resampler = av.AudioResampler(target.format, target.layout, target.sample_rate)
            self._kind = kind
        return self._resampler.resample(frame)

    def finish(self) -> list[av.Packet[av.AudioStream]]:
        return self._target.encode(None)


def _track(
    stream: av.AudioStream,
    output: av.container.OutputContainer,
    copied: frozenset[str] | None,
    encoder: str,
    timeline: _Timeline,
) -> _Track:
    codec = stream.codec_context.codec.canonical_name
    track: _Copy | _Encode
    try:
        if codec in (output.supported_codecs if copied is None else copied):
            track = _Copy(stream, output, timeline)
        else:
            track = _Encode(stream, output, encoder, timeline)
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"The audio ({codec}) cannot be written: {reason_of(error)}. Leave it out.") from error
    return track


def _is_known(stream: av.AudioStream) -> bool:
    """Whether a stream can be copied or decoded at all."""
    context = stream.codec_context
    return context is not None and bool(context.sample_rate) and bool(stream.time_base)


def _time(packet: av.Packet[av.AudioStream]) -> Fraction:
    assert packet.pts is not None
    return Fraction(packet.pts * packet.time_base)
