"""Frames through several networks and the filter, in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from depthsvc import DepthEstimator
from depthsvc.errors import VideoError
from depthsvc.pipeline.stages import Pipeline, View
from depthsvc.video.frames import ArrayFrame, FrameEstimator
from tests.parity import photo
from tests.video.clips import clip, times

SCENE = np.asarray(cv2.resize(photo(60, 90), (360, 240), interpolation=cv2.INTER_CUBIC), np.uint8)
OTHER = np.asarray(cv2.resize(photo(9, 16, seed=5), (320, 240), interpolation=cv2.INTER_NEAREST), np.uint8)


def pan(count: int) -> list[ArrayFrame]:
    return [
        ArrayFrame(np.ascontiguousarray(SCENE[:, 2 * number : 2 * number + 320]), number) for number in range(count)
    ]


def test_without_smoothing_each_frame_has_the_depth_of_a_photo(pipelines: list[Pipeline]) -> None:
    photos = DepthEstimator("embedded", engine="onnxruntime", worker_threads=1)
    found = list(FrameEstimator(pipelines, smooth=None)(pan(7)))
    assert [frame.time for frame, _, _ in found] == list(range(7))
    for frame, depth, _ in found:
        assert np.array_equal(depth.values, photos.depth(frame.pixels, size="model").values)
        assert depth.model == "embedded"


def test_smoothed_maps_hold_still_and_cuts_are_told(pipelines: list[Pipeline]) -> None:
    frames = [*pan(4), *(ArrayFrame(OTHER, number) for number in range(4, 7))]
    bare = [depth.values for _, depth, _ in FrameEstimator(pipelines, smooth=None)(frames)]
    found = list(FrameEstimator(pipelines)(frames))
    assert [is_cut for _, _, is_cut in found] == [True, False, False, False, True, False, False]
    assert np.array_equal(found[0].depth.values, bare[0])
    assert np.array_equal(found[4].depth.values, bare[4])
    assert not np.array_equal(found[3].depth.values, bare[3])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[View]:
    """What the networks have seen."""
    seen: list[View] = []
    predict = Pipeline.predict

    def counted(self: Pipeline, view: View) -> NDArray[np.float32]:
        seen.append(view)
        return predict(self, view)

    monkeypatch.setattr(Pipeline, "predict", counted)
    return seen


def test_frames_that_the_network_does_not_see_follow_the_motion_but_not_across_a_cut(
    pipelines: list[Pipeline], seen: list[View]
) -> None:
    frames = [*pan(5), ArrayFrame(OTHER, 5)]
    found = list(FrameEstimator(pipelines, every=2)(frames))
    assert len(seen) == 3 + 1  # frames 0, 2 and 4, and the other shot
    first, second = found[0].depth.values, found[1].depth.values
    assert 0 < np.abs(first - second).mean() < 0.2 * first.std()
    expected = next(FrameEstimator(pipelines, smooth=None)(frames[5:])).depth.values
    assert np.array_equal(found[5].depth.values, expected)
    with pytest.raises(ValueError, match="every"):
        FrameEstimator(pipelines, smooth=None, every=2)


def test_the_network_sees_the_frames_in_which_enough_is_new(pipelines: list[Pipeline], seen: list[View]) -> None:
    still = [ArrayFrame(pan(1)[0].pixels, number) for number in range(7)]
    frames = [*still, *(ArrayFrame(OTHER, number) for number in range(7, 12))]
    found = list(FrameEstimator(pipelines, every="auto")(frames))
    assert len(seen) == 2
    assert [frame.time for frame, _, _ in found] == list(range(12))
    assert [frame.time for frame, _, is_cut in found if is_cut] == [0, 7]
    for shot in (found[:7], found[7:]):
        for _, depth, _ in shot:
            np.testing.assert_allclose(depth.values, shot[0].depth.values, atol=1e-3 * shot[0].depth.max)
    with pytest.raises(ValueError, match="every"):
        FrameEstimator(pipelines, smooth=None, every="auto")


def test_no_more_frames_are_read_than_can_be_worked_on(pipelines: list[Pipeline]) -> None:
    read: list[float] = []

    def frames() -> Iterator[ArrayFrame]:
        for frame in pan(20):
            read.append(frame.time)
            yield frame

    found = FrameEstimator(pipelines)(frames())
    assert [frame.time for frame, _, _ in islice(found, 3)] == [0, 1, 2]
    assert len(read) <= 3 + 2 * 2
    found.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("depthsvc-frames")]


def test_an_error_of_the_reader_comes_through(pipelines: list[Pipeline]) -> None:
    def frames() -> Iterator[ArrayFrame]:
        yield from pan(3)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(FrameEstimator(pipelines)(frames()))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("depthsvc-frames")]


def test_an_estimator_goes_through_arrays_and_files(tmp_path: Path) -> None:
    estimator = DepthEstimator("embedded", engine="onnxruntime", worker_threads=1)
    arrays = [frame.pixels for frame in pan(3)]
    found = list(estimator.video(arrays))
    assert [time for _, time in found] == [0, 1, 2]
    assert np.array_equal(found[0][0].values, estimator.depth(arrays[0], size="model").values)
    of_file = list(estimator.video(clip(tmp_path / "clip.mp4"), smooth=None))
    assert [time for _, time in of_file] == pytest.approx([float(time) for time in times(tmp_path / "clip.mp4")])
    with pytest.raises(VideoError):
        next(estimator.video(str(tmp_path / "none.mp4")))
