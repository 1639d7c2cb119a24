"""The 3-D view: two surfaces that hold together, and a camera that keeps to where they do."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.browser.conftest import StartVisit, Visit, downloaded

Array = NDArray[Any]

HOLES_ARE_MAGENTA = """
    const known = WebGL2RenderingContext.prototype.clear;
    WebGL2RenderingContext.prototype.clear = function (what) {
        this.clearColor(1, 0, 1, 1);
        known.call(this, what);
    };
"""
HEIGHT, WIDTH = 90, 120
LAYERS = """(() => {
    const [values, pixels] = numbers;
    const size = { width: given.width, height: given.height };
    const { layers } = page;
    const made = layers({ values, ...size }, Uint8ClampedArray.from(pixels), 2);
    const { front, edges, back, outline, fill } = made;
    return [front.vertices, front.triangles, edges, back.vertices, back.triangles, outline, fill];
})()"""


def layers(visit: Visit, nearness: Array, colours: Array) -> dict[str, Array]:
    """The surfaces of a photo, RGB, with vertices as (n, 3) and triangles as (n, 3)."""
    height, width = nearness.shape
    rgba = np.dstack([colours, np.full((height, width), 255)])
    found = visit.computed("/static/depth/layers.js", LAYERS, nearness, rgba, width=width, height=height)
    names = ("vertices", "whole", "edges", "back", "back_triangles", "outline", "fill")
    made = dict(zip(names, found, strict=True))
    for name in ("vertices", "back"):
        made[name] = made[name].reshape(-1, 3)
    for name in ("whole", "edges", "back_triangles"):
        made[name] = made[name].astype(int).reshape(-1, 3)
    made["outline"] = made["outline"].reshape(height, width)
    made["fill"] = made["fill"].reshape(height, width, 4)
    return made


def area(vertices: Array, triangles: Array) -> float:
    """How much of the photo triangles cover, as a fraction of it."""
    a, b, c = (vertices[triangles[:, corner], :2] for corner in range(3))
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    return float(np.abs(ux * vy - uy * vx).sum() / 2)


def span(vertices: Array, triangles: Array) -> Array:
    """The differences of nearness in triangles."""
    return np.asarray(np.ptp(vertices[triangles, 2], axis=1))


def box() -> tuple[Array, Array, Array]:
    """Nearness, soft as from a small grid, and colours of a red box in front of blue; and where it is red."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = np.minimum(np.minimum(x - 40, 79 - x), np.minimum(y - 30, 59 - y)) + 0.5
    nearness = 0.2 + 0.7 * np.clip(0.5 + inside / 5, 0, 1)
    red = inside > 1  # the photo's edge is a pixel from the middle of that of depth
    return nearness, np.where(red[..., None], (200, 40, 30), (30, 60, 200)), red


def test_a_soft_step_is_cut_where_the_colours_change(lasting_visit: Visit) -> None:
    nearness, colours, red = box()
    made = layers(lasting_visit, nearness, colours)
    near = made["vertices"][:, 2].reshape(HEIGHT + 2, WIDTH + 2)[1:-1, 1:-1]
    front = (near > 0.5) & (made["outline"] > 128)
    assert (front != red).sum() <= 4, "but for the corners"
    assert set(near[~front & (made["outline"] > 128)].round(1)) == {np.float32(0.2)}, "nothing is between"
    for kind in ("whole", "edges"):
        assert span(made["vertices"], made[kind]).max() < 0.05, "no sheet of rubber"


def test_what_is_behind_a_step_is_continued_from_the_far_side(lasting_visit: Visit) -> None:
    nearness, colours, red = box()
    made = layers(lasting_visit, nearness, colours)
    red_of_fill, _, blue_of_fill, opacity = np.moveaxis(made["fill"], 2, 0)
    assert (opacity[red] == 255).all()
    assert red_of_fill[red].max() < 60
    assert blue_of_fill[red].min() > 170
    x, y, near = made["back"].T
    behind = near[(abs(x - 0.5) < 0.1) & (abs(y - 0.5) < 0.1)]
    assert len(behind) >= 4
    assert np.abs(behind - 0.2).max() < 0.03, "as far as what is around the box"
    seen = area(made["back"], made["back_triangles"])
    assert red.mean() < seen < 0.5, "of 1.8 x 1.8: nothing is drawn where the front has no end"


def test_what_is_behind_a_thing_has_the_texture_of_what_is_beside_it(lasting_visit: Visit) -> None:
    nearness, colours, red = box()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    stripes = np.where((x + y) // 4 % 2, 220, 60)
    made = layers(lasting_visit, nearness, np.where(red[..., None], colours, stripes[..., None]))
    hidden = made["fill"][35:55, 45:75, :3]
    assert np.ptp(hidden.mean((0, 1))) < 3, "grey, not red"
    assert 0.7 * stripes.std() < hidden.std() < 1.2 * stripes.std()


def test_what_depth_leaves_of_a_thing_on_the_background_is_covered(lasting_visit: Visit) -> None:
    """The red box is three pixels larger than its depth on each side, and there are mixed colours beside it."""
    nearness, _, _ = box()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = np.minimum(np.minimum(x - 32, 87 - x), np.minimum(y - 22, 67 - y))
    red = np.where((inside >= 0)[..., None], (200, 40, 30), (30, 60, 200))
    made = layers(lasting_visit, nearness, red)
    at_margin = (inside >= 0) & (np.minimum(np.minimum(x - 38, 81 - x), np.minimum(y - 28, 61 - y)) < 0)
    assert (made["fill"][at_margin][:, 3] == 255).mean() > 0.9
    assert made["fill"][at_margin][:, 0].mean() < 60
    assert made["fill"][35:55, 45:75, 0].max() < 60


@pytest.mark.parametrize(("wide", "is_cut"), [(6, False), (60, True)])
def test_a_step_is_cut_if_it_is_long(lasting_visit: Visit, wide: int, is_cut: bool) -> None:
    """The end of a ramp whose sides are no steps."""
    y, x = np.mgrid[:HEIGHT, :400]
    ramp = np.clip((y - 10) / 35, 0, 1) * np.clip(0.5 + (45 - y) / 5, 0, 1)
    nearness = 0.3 + 0.3 * ramp * np.clip(1.25 - np.abs(x - 200) / 2 / wide, 0, 1)
    made = layers(lasting_visit, nearness, np.full((*nearness.shape, 3), 128))
    assert (len(made["edges"]) > 0) == is_cut


@pytest.mark.parametrize("kind", ["ground", "corner"])
def test_steep_ground_is_not_cut(lasting_visit: Visit, kind: str) -> None:
    """The ground up to the horizon, and where it meets a wall: from the nearest to the farthest in 50 rows."""
    rows = np.arange(HEIGHT, dtype=float)[:, None]
    ground = np.clip((rows - (HEIGHT - 50)) / 50, 0, 1) if kind == "ground" else np.abs(rows - 40) / 50
    nearness = np.broadcast_to(ground, (HEIGHT, WIDTH))
    made = layers(lasting_visit, nearness, np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)))
    assert len(made["edges"]) == 0
    assert len(made["back_triangles"]) == 0
    assert area(made["vertices"], made["whole"]) == pytest.approx(1.8**2, rel=1e-3), "no hole, and a border"
    assert np.abs(made["fill"][..., 3]).max() == 0


def test_flat_surfaces_have_few_triangles(lasting_visit: Visit) -> None:
    made = layers(lasting_visit, *box()[:2])
    assert len(made["whole"]) + len(made["edges"]) + len(made["back_triangles"]) < HEIGHT * WIDTH


def test_sky_and_unknown_distances_are_on_one_far_surface(lasting_visit: Visit) -> None:
    expression = """(() => {
        const { nearness, low, high, pivot } =
            page.relief({ values: numbers[0], width: 10, height: 10, kind: given.kind, nearest: 0 });
        return [nearness.values, [low, high, pivot]];
    })()"""
    values = np.linspace(2, 12, 100)
    values[:30] = np.linspace(0.001, 0.1, 30)
    nearness, (low, high, pivot) = lasting_visit.computed(
        "/static/depth/relief.js", expression, values, kind="inverse_depth"
    )
    assert (nearness[:30] == 0).all()
    assert 0.1 < nearness[30] < nearness[99] == 1
    assert 0 < low < pivot < high == 1
    metres = np.linspace(1, 20, 100)
    metres[:30] = 0
    nearness, (low, high, pivot) = lasting_visit.computed("/static/depth/relief.js", expression, metres, kind="metres")
    assert (nearness[:30] == 0).all()
    assert nearness[99] == 0
    assert (low, high) == pytest.approx((1 / 20, 1 / metres[30]))
    assert low < pivot < high


MOTION = """import("/static/views/space_motion.js").then(({ Motion }) => {
    const limit = page.widestTurn({ low: given.low, high: 1, pivot: given.pivot }, given.fov);
    const motion = new Motion(limit, given.pivot, true, false);
    const poses = [];
    for (const [right, up] of [[100, 100], [-300, -300]]) {
        motion.turn(right, up);
        motion.step(0);
        poses.push(motion.pose.yaw, motion.pose.pitch);
    }
    for (let times = 0; times < 50; times++) motion.zoom(2);
    motion.step(0);
    poses.push(motion.pose.zoom);
    for (let times = 0; times < 50; times++) motion.zoom(0.5);
    motion.step(0);
    poses.push(motion.pose.zoom);
    return [[limit], poses];
})"""


@pytest.mark.parametrize("fov", [30, 60, 90])
@pytest.mark.parametrize("low", [0.02, 0.4, 0.9, 1])
def test_turns_and_zoom_end_where_the_surfaces_hold(lasting_visit: Visit, fov: float, low: float) -> None:
    """However deep the scene is: the nearest and the farthest part by an eighth of the picture, or by 14 degrees."""
    (limit,), poses = lasting_visit.computed(
        "/static/views/space_camera.js", MOTION, low=low, pivot=(low + 1) / 2, fov=fov
    )
    assert 0 < np.degrees(limit) <= 14.001
    assert np.tan(limit) * (1 - low) / ((low + 1) / 2) / (2 * np.tan(np.radians(fov / 2))) < 0.131
    turns, zooms = poses[:4], poses[4:]
    assert (np.abs(turns) <= limit).all()
    assert np.abs(turns).min() > 0.9 * limit
    assert tuple(zooms) == (4, 1)


def shown(visit: Visit) -> Array:
    """RGB (h, w, 3) of the 3-D view."""
    return np.frombuffer(visit.pixels("space"), np.uint8).reshape(*visit.size("space"), 4)[..., :3].astype(int)


def press(visit: Visit, key: str) -> None:
    visit.page.press("#space-frame", key)


def drag(visit: Visit, right: float, down: float) -> None:
    """From the middle, by fractions of the view's size."""
    box = visit.page.locator("#space").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x + right * box["width"], y + down * box["height"])
    visit.page.mouse.up()


def slide(visit: Visit, value: int) -> None:
    visit.page.locator("#fov").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
    )


def test_no_hole_shows_wherever_the_camera_goes(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(script=HOLES_ARE_MAGENTA).upload(scene)
    visit.view("space")
    seen = []
    for right, down in ((-0.5, 0), (0.5, 0.5), (0, -0.5)):
        press(visit, "0")
        drag(visit, right, down)
        seen.append(shown(visit))
    for fov in (30, 75):
        slide(visit, fov)
        seen.append(shown(visit))
    press(visit, "Enter")
    seen.append(shown(visit))
    for one in seen:
        magenta = (one[..., 0] > 240) & (one[..., 1] < 15) & (one[..., 2] > 240)
        assert magenta.sum() == 0
    for before, after in pairwise(seen):
        assert (before != after).mean() > 0.1


def test_the_first_view_is_the_photo(visit: Visit, scene: Path) -> None:
    """Larger by a few percent, so that its border stays outside: so is the photo's middle."""
    photo = np.frombuffer(visit.upload(scene).view("refocus").pixels("refocus"), np.uint8)
    height, width = visit.size("refocus")
    visit.view("space")
    middle = shown(visit)[height // 2 - 20 : height // 2 + 20, width // 2 - 20 : width // 2 + 20]
    wanted = photo.reshape(height, width, 4)[height // 2 - 20 : height // 2 + 20, width // 2 - 20 : width // 2 + 20, :3]
    assert np.abs(middle.mean((0, 1)) - wanted.mean((0, 1))).max() < 12


def test_the_view_turns_zooms_and_returns(visit: Visit, scene: Path) -> None:
    seen = [shown(visit.upload(scene).view("space"))]
    drag(visit, 0.2, 0.1)
    seen.append(shown(visit))
    visit.page.mouse.wheel(0, -300)
    seen.append(shown(visit))
    for key in ("ArrowLeft", "ArrowUp", "+", "Enter"):
        press(visit, key)
        seen.append(shown(visit))
    visit.page.click("#closer")
    seen.append(shown(visit))
    slide(visit, 35)
    assert visit.page.inner_text("output[for=fov]") == "35°"
    seen.append(shown(visit))
    for before, after in pairwise(seen):
        assert (before != after).mean() > 0.02
    visit.page.click("#reset")
    assert (shown(visit) == seen[0]).all()
    assert visit.page.inner_text("output[for=fov]") == "60°"


def test_a_double_click_looks_closer_and_another_one_goes_back(visit: Visit, scene: Path) -> None:
    first = shown(visit.upload(scene).view("space"))
    assert "Keys: arrows" in visit.page.inner_text("#space-controls .hint")
    box = visit.page.locator("#space").bounding_box()
    assert box
    place = (box["x"] + 0.3 * box["width"], box["y"] + 0.7 * box["height"])
    visit.page.mouse.dblclick(*place)
    closer = shown(visit)
    assert (closer != first).mean() > 0.5
    height, width, _ = first.shape
    there = first[int(0.7 * height) - 5 : int(0.7 * height) + 5, int(0.3 * width) - 5 : int(0.3 * width) + 5]
    middle = closer[height // 2 - 11 : height // 2 + 11, width // 2 - 11 : width // 2 + 11]
    assert np.abs(there.mean((0, 1)) - middle.mean((0, 1))).max() < 25, "the place is in the middle now"
    visit.page.mouse.dblclick(*place)
    assert (shown(visit) == first).all()


def test_two_taps_look_closer_on_a_phone(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True, device_scale_factor=2)
    first = shown(visit.upload(scene).view("space"))
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.page.locator("#space-frame").tap()
    visit.page.locator("#space-frame").tap()
    assert (shown(visit) != first).mean() > 0.5
    hint = visit.page.inner_text("#space-controls .hint")
    assert hint.startswith("Drag to look around, pinch to zoom, double-tap to look closer. What things hide")
    visit.view("refocus")
    assert visit.page.inner_text("#refocus-controls .hint") == "Tap what should be sharp."


MOVES = """async () => {
    const canvas = document.getElementById("space");
    const first = canvas.toDataURL();
    for (let frame = 0; frame < 600; frame++) {
        await new Promise(requestAnimationFrame);
        if (canvas.toDataURL() !== first) return true;
    }
    return false;
}"""
RESTS = (
    MOVES.replace("!== first", "=== last")
    .replace("const first", "let last")
    .replace("return true;", "return true; else last = canvas.toDataURL();")
)


def test_it_sways_until_a_person_stops_it(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(reduced_motion="no-preference").upload(scene)
    visit.view("space")
    assert visit.page.get_attribute("#sway", "aria-pressed") == "true"
    assert visit.page.evaluate(MOVES)
    visit.page.click("#sway")
    assert visit.page.get_attribute("#sway", "aria-pressed") == "false"
    assert visit.page.evaluate(RESTS)


def test_it_stands_still_for_who_wants_no_motion(visit: Visit, scene: Path) -> None:
    first = shown(visit.upload(scene).view("space"))
    assert visit.page.get_attribute("#sway", "aria-pressed") == "false"
    assert (shown(visit) == first).all()
    visit.page.click("#sway")
    assert visit.page.evaluate(MOVES), "unless the button says so"


def test_one_sway_is_saved_as_a_video(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    assert visit.page.locator("[data-save=sway]").is_hidden()
    visit.view("space")
    assert visit.page.inner_text("[data-save=sway]").split() == ["Video", "WebM,", "one", "sway"]
    name, video = downloaded(visit, "sway")
    assert name == "scene-3d.webm"
    with av.open(io.BytesIO(video), "r") as container:
        frames = [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]
    height, width = visit.size("space")
    assert len(frames) >= 4
    assert abs(frames[0].shape[0] - height) <= 1
    assert abs(frames[0].shape[1] - width) <= 1
    apart = [np.abs(frame - frames[0]).mean() for frame in frames]
    assert max(apart) > 3, "the camera moves"
    assert apart[-1] < 0.7 * max(apart), "and comes back"


@pytest.mark.parametrize(
    ("file", "script"),
    [("layers_worker.js", "no script"), ("layers.js", "export function layers() { throw new Error('no layers'); }")],
)
def test_a_view_that_cannot_be_made_says_so_and_the_next_photo_is_tried(
    visit: Visit, scene: Path, file: str, script: str
) -> None:
    page = visit.upload(scene).page
    page.route(f"**/{file}", lambda route: route.fulfill(body=script, content_type="text/javascript"))
    page.click("#tab-space")
    page.wait_for_selector("#space-frame .missing:visible")
    assert page.inner_text("#space-frame .missing").startswith("The 3-D view of this photo could not be made.")
    assert not page.locator("#space-frame[aria-busy]").count()
    page.unroute(f"**/{file}")
    page.set_input_files("#file", scene)
    page.wait_for_selector("#space-frame .missing", state="hidden")
    assert visit.complaints
    visit.complaints.clear()
