"""PyAV, which contains FFmpeg, and the only way in which an untrusted file is opened with it.

FFmpeg opens whatever a file names: a playlist, a list of files or a manifest that is called video.mp4 leads it to other
files of this machine, or to the network. So it gets lists of the formats, protocols and codecs that it may use, and the
largest picture that it may decode. Importing this module without PyAV raises ConfigurationError.
"""

from __future__ import annotations

import io
import re
import stat
from pathlib import Path
from typing import BinaryIO

from depthsvc.errors import MissingExtra, TooManyPixels, VideoError
from depthsvc.imaging.photo.formats import PHOTO_FORMATS

try:
    import av
except ImportError as error:
    raise MissingExtra("Videos need PyAV", "video") from error

__all__ = ["Source", "av", "name_of", "open_source", "reason_of"]

Source = Path | BinaryIO
"""A video: a file, or an open binary file or pipe."""

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,yuv4mpegpipe,h264,hevc,m4v,ivf,obu,"
    "mjpeg,mxf,dv,nut,gif,apng"
)
"""FFmpeg's formats whose files contain all of a video."""
_VIDEO_CODECS = (
    "h264,hevc,vvc,av1,libdav1d,vp3,vp6,vp6a,vp6f,vp7,vp8,vp9,theora,mpeg1video,mpeg2video,mpegvideo,mpeg4,msmpeg4v1,"
    "msmpeg4v2,msmpeg4,h261,h263,h263i,h263p,flv,wmv1,wmv2,wmv3,vc1,mjpeg,mjpegb,prores,dnxhd,cfhd,dvvideo,ffv1,"
    "huffyuv,ffvhuff,utvideo,magicyuv,lagarith,hap,qtrle,rpza,smc,8bps,svq1,svq3,cinepak,indeo3,indeo4,indeo5,msrle,"
    "msvideo1,zlib,zmbv,tscc,rawvideo,r210,v210,v308,v408,v410,yuv4,png,apng,gif,bmp,jpeg2000,jpegls,qoi,webp"
)
_AUDIO_CODECS = (
    "aac,aac_latm,ac3,eac3,dca,truehd,mlp,mp1,mp1float,mp2,mp2float,mp3,mp3float,alac,flac,vorbis,opus,libopus,speex,"
    "wmav1,wmav2,wmapro,wmalossless,wmavoice,amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,qcelp,qdm2,qdmc,gsm,"
    "gsm_ms,nellymoser,tta,wavpack,dvaudio,mace3,mace6,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf"
)
_HEAD_BYTES = 4096
_PLAYLIST = re.compile(rb"(\xef\xbb\xbf)?\s*(#EXTM3U|ffconcat|\[playlist\]|(<\?xml[^>]*>\s*)?<MPD|v=0\r?\no=)", re.I)
_CONTAINER = re.compile(
    rb".{4}(ftyp|moov|mdat|wide|free|skip)|\x1aE\xdf\xa3|RIFF.{4}AVI |FLV\x01|OggS|\x30\x26\xb2\x75|\0\0\x01\xba|"
    rb"\x47.{187}\x47|YUV4MPEG2 ",
    re.DOTALL,
)
"""Beginnings of files that are videos, as far as one can see."""
_Y4M = re.compile(rb"YUV4MPEG2 (?:[^\nW]\S* )*W(\d{1,9}) (?:[^\nH]\S* )*H(\d{1,9})\b")


def open_source(source: Source, max_pixels: int) -> av.container.InputContainer:
    """Open a video that nobody vouches for. No other file is opened, whatever this one contains.

    `max_pixels`: largest width times height that a decoder may allocate. Raises VideoError and TooManyPixels.
    """
    name, head = name_of(source), b""
    if isinstance(source, Path):
        _check_file(source)
        source = source if source.is_file() else source.open("rb")
    if not isinstance(source, Path):
        head = _peeked(source)
        _check_y4m(name, head, max_pixels)
    file = f"file:{source.absolute()}" if isinstance(source, Path) else source
    try:
        return av.open(file, "r", options=_options(max_pixels), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        head = head or _head(source)
        _check_y4m(name, head, max_pixels)
        raise VideoError(f"{name} {_what_it_is(head)}.") from error


def declared_size(source: Source) -> tuple[int, int]:
    """Width and height of the first video stream as the file declares them, without decoding anything; 0 x 0 if not."""
    if not isinstance(source, Path) or not source.is_file():
        return 0, 0
    options = {**_options(1), "codec_whitelist": "none"}
    with av.open(f"file:{source.absolute()}", "r", options=options, metadata_errors="replace") as container:
        context = container.streams.video[0].codec_context
        return context.width, context.height


def name_of(source: Source) -> str:
    """What messages call a video."""
    if isinstance(source, Path):
        return str(source)
    name = getattr(source, "name", None)
    if name == "<stdin>":
        return "Standard input"
    return name if isinstance(name, str) else "The video"


def reason_of(error: BaseException) -> str:
    """A failure of FFmpeg or the system in words, without a full stop."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _options(max_pixels: int) -> dict[str, str]:
    pcm = ",".join(sorted(codec for codec in av.codecs_available if codec.startswith("pcm_")))
    return {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": "file",
        "codec_whitelist": f"{_VIDEO_CODECS},{_AUDIO_CODECS},{pcm}",
        "max_pixels": str(max_pixels),
        "max_streams": "100",
    }


def _check_file(path: Path) -> None:
    """Raises VideoError for what can be said without FFmpeg."""
    try:
        found = path.stat()
        with path.open("rb"):
            pass
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}.") from error
    if stat.S_ISCHR(found.st_mode):
        raise VideoError(
            f"{path} is a device, not a file. The page and WS /live show the depth of a camera, and a pipe gives it to "
            f"this command: ffmpeg -i {path} -f yuv4mpegpipe - | depthsvc video - OUT"
        )
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise VideoError(f"{path} is empty.")


def too_many_pixels(name: str, width: int, height: int, max_pixels: int) -> TooManyPixels:
    """The error for pictures that are larger than the limit."""
    message = f"{name} is {width} x {height} pixels; the limit is {max_pixels / 1e6:g} megapixels. Scale it down."
    return TooManyPixels(message).limited_by("max_megapixels")


def _check_y4m(name: str, head: bytes, max_pixels: int) -> None:
    """Raises TooManyPixels for the one format that FFmpeg may not open at all then."""
    if (found := _Y4M.match(head)) and int(found[1]) * int(found[2]) > max_pixels:
        raise too_many_pixels(name, int(found[1]), int(found[2]), max_pixels)


def _what_it_is(head: bytes) -> str:
    """What a file is that begins like this, and that FFmpeg does not open."""
    if not head:
        return "is empty, or not a video"
    if _PLAYLIST.match(head):
        return "is a playlist: it only names other files, and they are not opened. Pass the video itself"
    if _CONTAINER.match(head):
        return "is damaged or incomplete: it has no header that FFmpeg can read"
    for format in PHOTO_FORMATS:
        if format.signature.match(head):
            return f"is a photo ({format.name}), not a video. Use depthsvc predict"
    if head and _is_text(head):
        return "is text, not a video"
    return "is not a video. Supported are MP4, MOV, MKV, WebM, AVI, MPEG, FLV, Ogg, WMV, MXF, GIF and Y4M"


def _peeked(source: BinaryIO) -> bytes:
    """The first bytes of a pipe, which stay in it; none if it cannot be looked into."""
    if not isinstance(source, io.BufferedReader) or source.seekable():
        return b""
    return source.peek(_HEAD_BYTES)[:_HEAD_BYTES]


def _head(source: Source) -> bytes:
    """A file's first bytes; none of a pipe, whose bytes are gone."""
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                return file.read(_HEAD_BYTES)
        source.seek(0)
        return source.read(_HEAD_BYTES)
    except (OSError, ValueError, io.UnsupportedOperation):
        return b""


def _is_text(head: bytes) -> bool:
    try:
        return head[:-4].decode().isprintable() or head[:-4].translate(None, b"\r\n\t").decode().isprintable()
    except UnicodeDecodeError:
        return False


def is_video_codec(name: str) -> bool:
    """Whether frames of this decoder may be decoded."""
    return name in _VIDEO_CODECS.split(",")
