"""One live session: frames come in, the latest goes to a worker, and answers leave in the frames' order.

Workers have as many frames at a time as their fair share allows, one each. Of those that come meanwhile the latest
waits, and the others are dropped: an old picture is of no use to anybody. What one frame needs of those before it stays
here, so any worker can have the next one, and one that dies takes a frame with it and no session.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack, suppress

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from depthsvc.errors import DeadlineExceeded, InvalidParameter, RequestError, TooManyPixels, UnsupportedMediaType
from depthsvc.imaging.photo.formats import header_of
from depthsvc.imaging.photo.header import Coding
from depthsvc.options import FrameOptions
from depthsvc.pipeline.answer import Answer, SeenFrame
from depthsvc.server.live.messages import LiveFormat, LiveFrame, LiveOptions, answer_message, error_message
from depthsvc.server.live.stream import Stream
from depthsvc.server.routes.waiting import when_done
from depthsvc.server.service import Service

logger = logging.getLogger(__name__)

_CODINGS = {Coding.JPEG, Coding.PROGRESSIVE_JPEG, Coding.WEBP, Coding.PNG}
_MOST_A_SECOND = 240
"""Messages of one session. Beyond that the service is being flooded."""
_DEADLINE_MARGIN_S = 1.0


class SessionOver(Exception):
    """The service ends a session."""

    def __init__(self, code: int, reason: str) -> None:
        """`code`: of the WebSocket's close. `reason`: a stable name, for programs."""
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LiveSession:
    """A session whose connection has been accepted."""

    def __init__(self, service: Service, websocket: WebSocket, client: str) -> None:
        """`client`: whose it is, as the pool shares its workers."""
        self.frames = self.dropped = self.failed = 0
        """Frames that have been answered, those for which a later one was preferred, and those that got an error."""
        self._service = service
        self._socket = websocket
        self._client = client
        self._options = LiveOptions()
        self._stream: Stream
        self._next: LiveFrame | None = None
        """The frame that has to wait, the latest."""
        self._submitted = 0
        self._computing = 0
        """Frames that workers have."""
        self._unanswered: asyncio.Queue[tuple[LiveFrame, asyncio.Task[SeenFrame | RequestError]]] = asyncio.Queue()
        """Frames that have been submitted, in their order."""
        self._tasks: asyncio.TaskGroup
        self._allowance = float(_MOST_A_SECOND)
        self._last_message = time.monotonic()

    async def run(self) -> str:
        """Until either side ends it. The reason, for the log; "" if it was the client."""
        try:
            await self._opening()
            await self._converse()
        except SessionOver as over:
            await self._close(over)
            return over.reason
        except WebSocketDisconnect:
            return ""
        except Exception:
            logger.exception("failed")
            await self._close(SessionOver(1011, RequestError.code))
            return RequestError.code
        return ""

    async def _opening(self) -> None:
        """The first message. Raises SessionOver."""
        try:
            async with asyncio.timeout(self._service.settings.client_timeout_s):
                message = await self._first_message()
            if not isinstance(message, str):
                raise InvalidParameter("The first message has to be text, a JSON object of options such as {}.")
            self._options = LiveOptions.parsed(message)
            appraiser = self._service.appraiser(self._frame_options(predict=True).priced_as)
            appraiser.limits.input_size(self._options.input_size)
        except TimeoutError as error:
            raise SessionOver(1008, "idle") from error
        except RequestError as error:
            await self._say(error_message(error))
            raise SessionOver(1008, error.code) from error
        model = self._service.model_named(self._options.model)
        self._stream = Stream(self._options, model.spec)
        settings, kind = self._service.settings, model.spec.output.depth_kind
        await self._socket.send_json(
            {
                "model": model.name,
                "kind": kind,
                "unit": kind.unit,
                "max_frame_bytes": settings.live_frame_bytes,
                "max_pixels": settings.live_frame_pixels,
            }
        )

    async def _first_message(self) -> str | bytes:
        """Raises SessionOver if the service shuts down before it comes."""
        received = asyncio.create_task(self._received())
        drained = asyncio.create_task(self._service.live.draining.wait())
        try:
            await asyncio.wait((received, drained), return_when=asyncio.FIRST_COMPLETED)
            if not received.done():
                raise SessionOver(1001, "draining")
            return received.result()
        finally:
            received.cancel()
            drained.cancel()

    async def _converse(self) -> None:
        """Raises SessionOver, or WebSocketDisconnect."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for part in (self._receive(), self._answer_all(), self._drain(), self._end_in_time()):
                    self._tasks.create_task(part)
        except BaseExceptionGroup as errors:
            raise _most_telling(errors) from None

    async def _receive(self) -> None:
        """Frames, as they come."""
        while True:
            try:
                async with asyncio.timeout(self._service.settings.live_idle_s):
                    message = await self._received()
            except TimeoutError as error:
                raise SessionOver(1008, "idle") from error
            frame = LiveFrame.parsed(message, time.monotonic()) if isinstance(message, bytes) else None
            if frame is None:
                raise SessionOver(1003, "frame_expected")
            self._spend_allowance(frame.arrived)
            if self._next is not None:
                self.dropped += 1
                self._service.metrics.count_frame("dropped")
            self._next = frame
            self._submit_next()

    def _spend_allowance(self, now: float) -> None:
        self._allowance = min(_MOST_A_SECOND, self._allowance + (now - self._last_message) * _MOST_A_SECOND) - 1
        self._last_message = now
        if self._allowance < 0:
            raise SessionOver(1008, "too_fast")

    async def _received(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def _drain(self) -> None:
        """When the service shuts down, finish what has been accepted."""
        await self._service.live.draining.wait()
        await self._unanswered.join()
        raise SessionOver(1001, "draining")

    async def _end_in_time(self) -> None:
        await asyncio.sleep(self._service.settings.live_session_s)
        raise SessionOver(1008, "session_over")

    def _submit_next(self) -> None:
        """Give the waiting frame to a worker, if it is its turn."""
        if self._next is None or self._service.live.draining.is_set():
            return
        if self._computing >= self._at_once or self._unanswered.qsize() > self._at_once:  # workers, or the reader
            return
        frame, self._next = self._next, None
        predict = self._submitted % self._options.every == 0
        self._submitted += 1
        self._computing += 1
        computed = self._tasks.create_task(self._computed(frame, predict=predict))
        computed.add_done_callback(self._computed_one)
        self._unanswered.put_nowait((frame, computed))

    @property
    def _at_once(self) -> int:
        """Frames that workers may have at the same time: a fair part of the workers."""
        return max(1, self._service.pool.workers // len(self._service.live))

    def _computed_one(self, computed: asyncio.Task[SeenFrame | RequestError]) -> None:
        self._computing -= 1
        if not computed.cancelled():
            self._submit_next()

    async def _computed(self, frame: LiveFrame, *, predict: bool) -> SeenFrame | RequestError:
        """What a worker makes of a frame, or why nothing came of it."""
        service, options = self._service, self._frame_options(predict=predict)
        try:
            with service.accept(self._client), ExitStack() as stack:
                self._check(frame)
                cost = service.appraiser(options.priced_as).appraise(frame.data, options.priced_as)
                computing = service.pool.submit(
                    frame.data,
                    options,
                    deadline_s=service.settings.deadline_s,
                    price=cost.seconds if predict else cost.seconds_of["decode"],
                    client=self._client,
                )
                stack.callback(computing.cancel)
                async with asyncio.timeout(service.settings.deadline_s + _DEADLINE_MARGIN_S):
                    await when_done(computing)
                answer: Answer = computing.result()
                assert isinstance(answer, SeenFrame)
                if predict:
                    service.observe(cost, answer)
                    service.trace(answer)
                if self._options.format is LiveFormat.JPEG:
                    self._options.heatmap_size(*answer.photo)  # what is too large fails here
                return answer
        except RequestError as error:
            return error
        except TimeoutError:
            return DeadlineExceeded("The frame was not finished in time. Send fewer, or smaller ones.")
        except Exception:
            logger.exception("failed")
            return RequestError("The service failed unexpectedly. Its log has the details under the session's id.")

    def _frame_options(self, *, predict: bool) -> FrameOptions:
        return FrameOptions(input_size=self._options.input_size, model=self._options.model, predict=predict)

    def _check(self, frame: LiveFrame) -> None:
        """Raises RequestError for a frame that is not to be decoded."""
        header, most = header_of(frame.data), self._service.settings.live_frame_pixels
        if header.coding not in _CODINGS:
            raise UnsupportedMediaType("A frame has to be a JPEG, WebP or PNG file.")
        if header.width * header.height > most:
            raise TooManyPixels(
                f"The frame is {header.width} x {header.height}; the limit is {most / 1e6:g} megapixels. Scale it down."
            ).limited_by("live_frame_megapixels")

    async def _answer_all(self) -> None:
        """In the frames' order."""
        while True:
            frame, computed = await self._unanswered.get()
            await self._answer(frame, await computed)
            self._unanswered.task_done()
            self._submit_next()

    async def _answer(self, frame: LiveFrame, seen: SeenFrame | RequestError) -> None:
        answer = None
        if isinstance(seen, SeenFrame):
            answer = await asyncio.to_thread(self._stream.next, seen, frame.arrived)
            if answer is None:  # it begins a shot
                seen = await self._computed(frame, predict=True)
                if isinstance(seen, SeenFrame):
                    answer = await asyncio.to_thread(self._stream.next, seen, frame.arrived)
        if isinstance(seen, RequestError):
            self.failed += 1
            self._service.metrics.count_frame("failed")
            await self._say(error_message(seen, frame))
            return
        assert answer is not None
        header, payload = answer
        age_s = time.monotonic() - frame.arrived
        about = {"id": frame.id, "dropped": self.dropped, "age_ms": round(1000 * age_s, 1)}
        await self._socket.send_bytes(answer_message({**about, **header}, payload))
        self.frames += 1
        self._service.metrics.count_frame("answered", age_s)

    async def _say(self, text: str) -> None:
        await self._socket.send_text(text)

    async def _close(self, over: SessionOver) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect):
                await self._socket.close(over.code, over.reason)


def _most_telling(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of the failures of a session's tasks, a disconnection or its end by the service before any that follow."""
    flat = list(_leaves(errors))
    for kind in (SessionOver, WebSocketDisconnect):
        for error in flat:
            if isinstance(error, kind):
                return error
    return flat[0]


def _leaves(errors: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in errors.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
