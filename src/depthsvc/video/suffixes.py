"""By what name a file counts as a video, where nobody has named it. Needs no PyAV."""

from __future__ import annotations

_NAMES = "3g2 3gp asf avi dv flv m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv y4m"
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""Extensions, in lower case. A .gif is a photo."""
