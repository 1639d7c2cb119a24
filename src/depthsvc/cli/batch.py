"""`depthsvc batch`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from depthsvc.cli.photo_options import FORMAT_CHOICE, FORMAT_HELP, PhotoCommand, formats_for, options_for
from depthsvc.cli.service_options import check_no_worker_options, is_given, service_options
from depthsvc.cli.setting_options import COMPUTING, log_to_stderr
from depthsvc.errors import DepthServiceError
from depthsvc.formats import Result

if TYPE_CHECKING:
    from depthsvc.batch.ignored import Ignored
    from depthsvc.batch.session import Plan
    from depthsvc.batch.sources import Source
    from depthsvc.options import Options
    from depthsvc.settings import Settings

_NO_STORES = ("http:", "https:", "ftp:", "data:")
"""Schemes of URLs that Ray cannot read either."""


class _CannotBegin(click.ClickException):
    exit_code = 2


@click.command(
    cls=PhotoCommand,
    settings=(*COMPUTING, "max_megapixels", "log_level"),
)
@click.argument("paths", nargs=-1, metavar="IN... OUT")
@click.option("--list", "list_file", metavar="FILE", help="File that lists photos, one path per line, instead of IN.")
@click.option("--format", type=FORMAT_CHOICE, help=f"{FORMAT_HELP}  [png]")
@click.option("--overwrite", is_flag=True, help="Recompute results that already exist.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="File to append a line to for each photo.  [OUT/report.jsonl]",
)
@click.option(
    "--watch", is_flag=True, help="Keep running and process new photos in the folder IN as they arrive, until Ctrl-C."
)
@click.option(
    "--settle-s",
    type=click.FloatRange(0),
    default=2.0,
    help="With --watch: seconds for which a photo must be unchanged.  [2]",
)
@click.option(
    "--videos",
    is_flag=True,
    help="Take the videos in IN too: the result of IN/a.mp4 is OUT/a.mp4.depth.mp4, a video of heatmaps.",
)
@service_options
@click.pass_context
def batch(
    context: click.Context,
    settings: Settings,
    wanted: dict[str, Any],
    paths: tuple[str, ...],
    list_file: str | None,
    format: str | None,
    overwrite: bool,
    report: Path | None,
    watch: bool,
    settle_s: float,
    videos: bool,
    url: str | None,
    api_key: str | None,
    concurrency: int,
) -> None:
    """Estimate the depth of many photos into the folder OUT. Each IN is a folder, searched recursively, a glob, a
    photo, or - for a list of photos on standard input.

    The result of IN/a/b.jpg is OUT/a/b.jpg.depth.png; with --format, --side-by-side, --bokeh and --stereo it ends
    in .depth.npy, .depth.f16, .depth.16.png, .depth.ply, .depth.pair.png, .depth.bokeh.jpg or .depth.stereo.jpg. Photos
    that already have a result are skipped, so rerunning the same command resumes after an interruption.

    With --ray, IN and OUT may be URIs of folders, such as s3://bucket/photos; a URI for OUT needs --report.

    Exit status: 0 if all photos have a result, 1 if some do not or there is no photo, 2 if nothing was started.
    """
    log_to_stderr(settings)
    *given, output = _check_paths(paths, list_file, watch=watch)
    check_no_worker_options(context, url)
    _check_videos(url, videos=videos, watch=watch)
    with_ray = settings.ray and not url
    if with_ray and watch:
        raise click.UsageError("--watch cannot be combined with --ray.")
    _check_uris(given, output, report, with_ray=with_ray)
    from depthsvc.batch.estimators import Remote
    from depthsvc.batch.ignored import Ignored
    from depthsvc.batch.run import run_batch, watch_folder
    from depthsvc.batch.session import Plan
    from depthsvc.batch.sources import NothingFound

    if url and is_given(context, "model"):
        wanted["model"] = settings.model
    try:
        if videos:
            import depthsvc.video.library  # noqa: F401  # before a thousand photos, not after
        options = _options(format, wanted)
        remote = Remote(url, api_key, concurrency) if url else None
        plan = Plan(
            Path(output),
            options.file_format.extension,
            options,
            settings,
            report,
            overwrite,
            remote,
            videos,
        )
        ignored = Ignored()
        if with_ray:
            status = _run_with_ray(plan, given, list_file, output, ignored)
        elif watch:
            status = watch_folder(plan, Path(given[0]), ignored, settle_s)
        else:
            status = run_batch(plan, _sources(given, list_file, Path(output), ignored, videos=videos), ignored)
    except NothingFound as error:
        raise click.ClickException(str(error)) from error
    except DepthServiceError as error:
        raise _CannotBegin(str(error)) from error
    except OSError as error:
        raise _CannotBegin(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")) from error
    sys.exit(status)


def _options(name: str | None, wanted: dict[str, Any]) -> Options:
    format = formats_for(name, wanted)[0]
    if format.result is Result.HEATMAP:
        wanted["palette"] = True  # for many files, smaller and faster matter most
    return options_for(format, wanted)


def _check_paths(paths: tuple[str, ...], list_file: str | None, *, watch: bool) -> tuple[str, ...]:
    if list_file and len(paths) != 1:
        raise click.UsageError("With --list, give OUT alone.")
    if not list_file and len(paths) < 2:
        raise click.UsageError("Give IN and OUT.")
    if "-" in paths[:-1] and len(paths) > 2:
        raise click.UsageError("With - for IN, give no other IN.")
    if watch and (list_file or len(paths) != 2 or not Path(paths[0]).is_dir()):
        raise click.UsageError("With --watch, IN must be one folder.")
    return paths


def _check_videos(url: str | None, *, videos: bool, watch: bool) -> None:
    if not videos:
        return
    if url:
        raise click.UsageError("--videos cannot be combined with --url: a service takes photos only.")
    if watch:
        raise click.UsageError("--videos cannot be combined with --watch.")


def _is_uri(word: str) -> bool:
    """Whether a word is a URI rather than a path."""
    return "://" in word


def _check_uris(given: list[str], output: str, report: Path | None, *, with_ray: bool) -> None:
    from depthsvc.imaging.photo.files import url_problem

    elsewhere = _NO_STORES if with_ray else (*_NO_STORES, "file:")
    for word in given:
        if word.lower().startswith(elsewhere) and (problem := url_problem(word)):
            raise click.UsageError(problem)
    uris = [word for word in (*given, output) if _is_uri(word)]
    if uris and not with_ray:
        raise click.UsageError(f"{uris[0]}: URIs need --ray.")
    if len(given) > 1 and any(map(_is_uri, given)):
        raise click.UsageError("With a URI for IN, give no other IN.")
    if _is_uri(output) and report is None:
        raise click.UsageError(f"{output} is not on this machine: choose a file for the report with --report.")


def _run_with_ray(plan: Plan, given: list[str], list_file: str | None, output: str, ignored: Ignored) -> int:
    from depthsvc.cluster.batch import run_batch_on_ray
    from depthsvc.cluster.storage import Storage, photos_in_storage

    if plan.videos and any(map(_is_uri, [*given, output])):
        raise click.UsageError("--videos cannot be combined with URIs: videos are read and written as files.")
    results = Storage(output) if _is_uri(output) else None
    if given and _is_uri(given[0]):
        photos = Storage(given[0])
        sources = _some(photos_in_storage(photos, output, ignored), ignored)
        return run_batch_on_ray(plan, sources, ignored, photos=photos, results=results)
    sources = _sources(given, list_file, Path(output), ignored, videos=plan.videos)
    return run_batch_on_ray(plan, sources, ignored, results=results)


def _sources(
    given: list[str], list_file: str | None, output: Path, ignored: Ignored, *, videos: bool = False
) -> list[Source]:
    """Raises NothingFound, ConfigurationError or OSError."""
    from depthsvc.batch.lists import paths_in
    from depthsvc.batch.sources import find_photos, photos_in_list

    if list_file and list_file != "-":
        paths = paths_in(Path(list_file).read_bytes(), list_file)
        return _some(photos_in_list(paths, videos=videos), ignored, videos=videos)
    if list_file or given == ["-"]:
        paths = paths_in(sys.stdin.buffer.read(), "The list")
        return _some(photos_in_list(paths, videos=videos), ignored, videos=videos)
    return _some(find_photos(given, output, ignored, videos=videos), ignored, videos=videos)


def _some(sources: Iterable[Source], ignored: Ignored, *, videos: bool = False) -> list[Source]:
    """All of them. Raises NothingFound if there is none."""
    from depthsvc.batch.sources import NothingFound
    from depthsvc.imaging.photo.formats import ACCEPTED_NAMES

    if found := list(sources):
        return found
    things = f"{ACCEPTED_NAMES} photo{' and no video' if videos else ''}"
    raise NothingFound(f"No {things} found{f'; {ignored}' if ignored else ''}.")
