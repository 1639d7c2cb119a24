"""What can be asked of a photo from Python: the same verbs for the estimator and for both clients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from typing import Any, Generic, ParamSpec, TypeVar

from depthsvc.errors import DepthServiceError, InvalidParameter
from depthsvc.imaging.photo.source import PhotoSource
from depthsvc.options import (
    BokehOptions,
    DepthOptions,
    HeatmapOptions,
    MeshOptions,
    NormalsOptions,
    PointCloudOptions,
    Refine,
    SideBySideOptions,
    StereoOptions,
    UploadQuery,
    make_options,
)

DepthT = TypeVar("DepthT")
PictureT = TypeVar("PictureT")
CloudT = TypeVar("CloudT")
MeshT = TypeVar("MeshT")
Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def unknown_keywords_raise(
    error: type[DepthServiceError],
) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
    """Decorator: an unknown keyword raises `error` instead of TypeError, with the closest known one as a hint."""

    def decorate(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        known = list(signature(function).parameters)

        @wraps(function)
        def check(*arguments: Parameters.args, **keywords: Parameters.kwargs) -> Returned:
            for name in keywords:
                if name not in known:
                    meant = get_close_matches(name, known, n=1)
                    hint = f"; did you mean {meant[0]}?" if meant else "."
                    raise error(f"{name}: there is no such parameter{hint}")
            return function(*arguments, **keywords)

        return check

    return decorate


class Verbs(ABC, Generic[DepthT, PictureT, CloudT, MeshT]):
    """The verbs, each with what it returns: a DepthMap, Picture, PointCloud or Mesh, or a coroutine for one."""

    @unknown_keywords_raise(InvalidParameter)
    def depth(
        self,
        photo: PhotoSource,
        *,
        model: str | None = None,
        input_size: int | None = None,
        size: str = "source",
        refine: Refine = "auto",
        full_size: bool = False,
        normalize: bool = False,
    ) -> DepthT:
        """Relative inverse depth, larger is nearer; or metres, if the model predicts them. The map's `kind` says which.

        `model` is a name that the service serves, by default its first. `size` is "source" for the photo's upright
        width and height, "screen" for at most 1.5 megapixels of it, or "model" for the network's own grid. `refine`
        aligns depth edges with the photo's: True, False, or "auto" for models that are made for it, which the embedded
        one is and MiDaS is not. It looks at no more than 3.2 megapixels of the photo unless `full_size` is set.
        `normalize` scales the values to 0..1. Raises RequestError and OSError.
        """
        options = make_options(
            DepthOptions,
            model=model,
            input_size=input_size,
            size=size,
            refine=refine,
            full_size=full_size,
            normalize=normalize,
        )
        return self._depth(photo, options)

    predict = depth
    """Alias of `depth`."""

    @unknown_keywords_raise(InvalidParameter)
    def heatmap(
        self,
        photo: PhotoSource,
        *,
        model: str | None = None,
        input_size: int | None = None,
        size: str = "source",
        refine: Refine = "auto",
        full_size: bool = False,
        colormap: str = "inferno",
        invert: bool = False,
        palette: bool = True,
        side_by_side: bool = False,
    ) -> PictureT:
        """A PNG from the farthest to the nearest point of this photo; near is bright unless `invert` is set.

        `palette`: an 8-bit palette PNG, which is smaller and faster than truecolour. `side_by_side`: the photo to the
        left of its heatmap, truecolour. The other options are as for `depth`. Raises RequestError and OSError.
        """
        query = make_options(
            UploadQuery,
            model=model,
            input_size=input_size,
            size=size,
            refine=refine,
            full_size=full_size,
            colormap=colormap,
            invert=invert,
            palette=palette,
            side_by_side=side_by_side,
        )
        return self._heatmap(photo, query.options)

    upload = heatmap
    """Alias of `heatmap`, named after the service's route."""

    @unknown_keywords_raise(InvalidParameter)
    def point_cloud(
        self,
        photo: PhotoSource,
        *,
        model: str | None = None,
        input_size: int | None = None,
        fov: float | None = None,
        refine: Refine = "auto",
        stride: int = 1,
        max_points: int = 1_000_000,
    ) -> CloudT:
        """The photo as a cloud of coloured points: in metres if the model predicts them, else at plausible distances.

        `fov` is the angle in degrees that the photo's longer side spans. Without it, metres are placed by the photo's
        EXIF data, if they say it, and everything else by 60 degrees. `refine` aligns depth edges with the photo's, as
        for `depth`. `stride` keeps every n-th pixel of each row and column, and grows until there are at most
        `max_points`. Raises RequestError and OSError.
        """
        options = make_options(
            PointCloudOptions,
            model=model,
            input_size=input_size,
            fov=fov,
            refine=refine,
            stride=stride,
            max_points=max_points,
        )
        return self._point_cloud(photo, options)

    @unknown_keywords_raise(InvalidParameter)
    def bokeh(
        self,
        photo: PhotoSource,
        *,
        model: str | None = None,
        input_size: int | None = None,
        focus: str | tuple[float, float] = "auto",
        strength: float = 0.5,
        full_size: bool = False,
        strip_gps: bool = False,
    ) -> PictureT:
        """The photo refocused by its depth, as a JPEG.

        `focus` is the point that stays sharp, as fractions of width and height from the top left, or "auto" for the
        nearest thing that stands out. `strength`, 0 to 1, scales the blur. The result has at most 12.5 megapixels
        unless `full_size` is set. The file keeps the photo's EXIF data and colour profile; `strip_gps` leaves out where
        it was taken. Raises RequestError and OSError.
        """
        options = make_options(
            BokehOptions,
            model=model,
            input_size=input_size,
            focus=focus,
            strength=strength,
            full_size=full_size,
            strip_gps=strip_gps,
        )
        return self._bokeh(photo, options)

    @unknown_keywords_raise(InvalidParameter)
    def stereo(
        self,
        photo: PhotoSource,
        *,
        model: str | None = None,
        input_size: int | None = None,
        layout: str = "side_by_side",
        divergence: float = 2.5,
        convergence: float = 0.5,
        full_size: bool = False,
        strip_gps: bool = False,
    ) -> PictureT:
        """Views of the photo for both eyes in one picture, as a JPEG.

        `layout` is "side_by_side" (the left eye's view on the left), "half" (the same, each of half the width),
        "cross_eyed" (the right eye's view on the left) or "anaglyph" (for red-cyan glasses). `divergence`, 0 to 10, is
        the shift between the farthest and the nearest point in percent of the photo's width, and `convergence` the
        nearness, 0 to 1, in the plane of the screen. A view has at most 3.2 megapixels, or 12.5 with `full_size`.
        `strip_gps` is as for `bokeh`. Raises RequestError and OSError.
        """
        options = make_options(
            StereoOptions,
            model=model,
            input_size=input_size,
            layout=layout,
            divergence=divergence,
            convergence=convergence,
            full_size=full_size,
            strip_gps=strip_gps,
        )
        return self._stereo(photo, options)

    @unknown_keywords_raise(InvalidParameter)
    def normals(
        self,
        photo: PhotoSource,
        *,
        model: str | None = None,
        input_size: int | None = None,
        size: str = "source",
        fov: float | None = None,
    ) -> PictureT:
        """Surface normals as a PNG in ControlNet's colours: red is left, green is up, blue is towards the camera.

        A channel is 127.5 (n + 1), so (128, 128, 255) faces the camera. By a model of relative depth the shape is
        plausible, not measured: that of `point_cloud`, whose `fov` this is. `size` is as for `depth`; there are at most
        50 megapixels. Raises RequestError and OSError.
        """
        options = make_options(NormalsOptions, model=model, input_size=input_size, size=size, fov=fov)
        return self._normals(photo, options)

    @unknown_keywords_raise(InvalidParameter)
    def mesh(
        self,
        photo: PhotoSource,
        *,
        model: str | None = None,
        input_size: int | None = None,
        fov: float | None = None,
        max_vertices: int = 250_000,
    ) -> MeshT:
        """The photo as a GLB file (glTF 2.0): a surface with the photo as its texture, cut where depth has a step.

        Its axes, unit and `fov` are those of `point_cloud`. There are as many vertices as the network's grid has
        pixels, or every n-th of each row and column, at most `max_vertices`; a larger `input_size` gives more.
        Raises RequestError and OSError.
        """
        options = make_options(MeshOptions, model=model, input_size=input_size, fov=fov, max_vertices=max_vertices)
        return self._mesh(photo, options)

    @abstractmethod
    def _depth(self, photo: PhotoSource, options: DepthOptions) -> DepthT: ...

    @abstractmethod
    def _heatmap(self, photo: PhotoSource, options: HeatmapOptions | SideBySideOptions) -> PictureT: ...

    @abstractmethod
    def _point_cloud(self, photo: PhotoSource, options: PointCloudOptions) -> CloudT: ...

    @abstractmethod
    def _bokeh(self, photo: PhotoSource, options: BokehOptions) -> PictureT: ...

    @abstractmethod
    def _stereo(self, photo: PhotoSource, options: StereoOptions) -> PictureT: ...

    @abstractmethod
    def _normals(self, photo: PhotoSource, options: NormalsOptions) -> PictureT: ...

    @abstractmethod
    def _mesh(self, photo: PhotoSource, options: MeshOptions) -> MeshT: ...


Client = TypeVar("Client", bound=type)


def with_coroutine_verbs(client: Client) -> Client:
    """Class decorator: verbs whose results are awaited are coroutine functions, and raise nothing before that."""
    coroutines: dict[Callable[..., Any], Callable[..., Any]] = {}
    for name, verb in vars(Verbs).items():
        if not name.startswith("_"):
            setattr(client, name, coroutines.setdefault(verb, _coroutine_function(verb)))
    return client


def _coroutine_function(verb: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(verb)
    async def awaited(*arguments: Any, **keywords: Any) -> Any:
        return await verb(*arguments, **keywords)

    return awaited
