"""The page as a person uses it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FloatRect, Route

from depthsvc.imaging.colormaps import color_table
from depthsvc.imaging.spec import Colormap
from tests.browser.conftest import SAMPLES, StartVisit, Visit
from tests.conftest import RunningService, StartService, encoded, opened, until
from tests.parity import photo

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
NO_WEBGL = """
    const known = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return kind.startsWith("webgl") ? null : known.call(this, kind, ...rest);
    };
"""
HAND_OVER = """([type, base64, name]) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    if (name) dataTransfer.items.add(new File([bytes], name, { type: "image/png" }));
    const event = type === "paste"
        ? new ClipboardEvent(type, { clipboardData: dataTransfer, bubbles: true })
        : new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
    document.querySelector("main").dispatchEvent(event);
}"""


def heatmap(visit: Visit) -> np.ndarray:
    """RGB (h, w, 3) of the heatmap on the screen."""
    return np.frombuffer(visit.pixels("heatmap"), np.uint8).reshape(*visit.size("heatmap"), 4)[..., :3].astype(int)


def slide(visit: Visit, slider: str, value: int) -> None:
    script = """([id, value]) => {
        const element = document.getElementById(id);
        element.value = value;
        element.dispatchEvent(new Event("input"));
    }"""
    visit.page.evaluate(script, [slider, value])


def nearness(visit: Visit) -> int:
    """The percentage that the page reads out."""
    found = re.search(r"(\d+) ?%", visit.page.inner_text("#readout"))
    assert found
    return int(found[1])


def test_a_chosen_photo_is_shown_beside_its_depth(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    left, right = visit.page.locator("#photo").bounding_box(), visit.page.locator("#heatmap").bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] <= right["x"]
    assert left["width"] / left["height"] == pytest.approx(480 / 360, rel=0.01)
    shown = heatmap(visit).sum(axis=2)
    assert shown[-40:].mean() > 2 * shown[:40].mean(), "the table top in front is brighter than the wall behind it"
    assert "480 × 360" in visit.page.inner_text("#facts")
    assert visit.page.inner_text("#model") == "Model: embedded"


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_photo_can_be_dropped_or_pasted(visit: Visit, scene: Path, way: str) -> None:
    visit.page.evaluate(HAND_OVER, [way, base64.b64encode(scene.read_bytes()).decode(), "given.png"])
    visit.shown("given.png")


def test_what_is_dropped_but_no_file_is_explained(visit: Visit) -> None:
    visit.page.evaluate(HAND_OVER, ["drop", "", ""])
    assert "isn't a file" in visit.page.inner_text("#failure")


def test_the_samples_are_there_and_credited(visit: Visit) -> None:
    assert visit.page.locator("[data-sample]").count() == len(list(SAMPLES.glob("*.jpg"))) == 5
    visit.page.click("[data-sample=coffee]")
    visit.shown("coffee.jpg")
    credits = (SAMPLES / "CREDITS.txt").read_text()
    for path in SAMPLES.glob("*.jpg"):
        assert path.stat().st_size < 110_000
        assert f"{path.name} " in credits


def test_a_photo_can_be_taken(start_visit: StartVisit) -> None:
    visit = start_visit(permissions=["camera"])
    visit.page.click("#camera")
    visit.page.wait_for_function("() => document.getElementById('viewfinder').videoWidth > 0")
    visit.page.click("#shoot")
    visit.shown("camera.jpg")
    assert visit.page.evaluate("document.getElementById('viewfinder').srcObject") is None


def test_a_forbidden_camera_is_explained(start_visit: StartVisit) -> None:
    refuse = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }"
    visit = start_visit(script=refuse)
    visit.page.click("#camera")
    visit.page.wait_for_selector("#failure:visible")
    assert "does not allow the camera" in visit.page.inner_text("#failure")


def test_everything_after_the_upload_happens_in_the_browser(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    visit.requests.clear()
    mean = {}
    for colormap in ("inferno", "magma", "viridis", "jet", "hot", "gray"):
        visit.page.select_option("#colormap", colormap)
        table = {tuple(colour) for colour in color_table(Colormap(colormap)).tolist()}
        shown = heatmap(visit)
        assert set(map(tuple, shown.reshape(-1, 3).tolist())) <= table, "the colours are the service's"
        mean[colormap] = tuple(shown.mean((0, 1)).round())
    assert len(set(mean.values())) == len(mean)
    slide(visit, "far", 20)
    visit.view("space").view("refocus").view("compare").view("heatmap")
    asked = [request.url for request in visit.requests if not request.url.startswith("blob:")]
    assert [url for url in asked if "/static/" not in url] == [], "but for the page's own scripts"


def test_invert_and_limits_change_the_colours(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    visit.page.select_option("#colormap", "gray")
    plain = heatmap(visit)
    visit.page.check("#invert")
    assert np.abs(255 - plain - heatmap(visit)).max() <= 1
    visit.page.uncheck("#invert")
    slide(visit, "far", 30)
    slide(visit, "near", 70)
    expected = np.clip((plain - 0.3 * 255) / 0.4, 0, 255)
    assert np.abs(heatmap(visit) - expected).max() <= 2
    slide(visit, "near", 10)
    assert visit.page.input_value("#far") == "9", "the limits push each other along"
    visit.page.click("#whole")
    assert (heatmap(visit) == plain).all()


def limits(visit: Visit) -> list[int]:
    return [int(visit.page.input_value(f"#{name}")) for name in ("far", "near")]


def test_the_limits_can_be_those_of_what_is_seen(visit: Visit, scene: Path) -> None:
    """And are the whole range again with the button beside it."""
    visit.upload(scene).page.select_option("#colormap", "gray")
    shown = heatmap(visit)[..., 0] / 255
    visit.page.click("#auto")
    assert limits(visit) == pytest.approx(100 * np.percentile(shown, [2, 98]), abs=1.5)
    levels = heatmap(visit)[..., 0]
    assert np.mean(levels == 0) < 0.021
    assert np.mean(levels == 255) < 0.021
    visit.page.click("#whole")
    assert limits(visit) == [0, 100]
    for _ in range(3):
        visit.page.click("#zoom-in")
    visit.page.click("#auto")
    height, width = shown.shape
    part = 1.5**-3
    middle = shown[
        round(height * (1 - part) / 2) : round(height * (1 + part) / 2),
        round(width * (1 - part) / 2) : round(width * (1 + part) / 2),
    ]
    assert limits(visit) == pytest.approx(100 * np.percentile(middle, [2, 98]), abs=2)


def test_what_is_what_is_named(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    for view, centres in (("heatmap", (0, 0)), ("compare", (0, 1))):
        visit.view(view)
        for id, words, side in zip(("photo-frame", "heatmap-frame"), ("Photo", "Depth"), centres, strict=True):
            name = visit.page.locator(f"#{id} .name")
            assert name.inner_text() == words
            frame, box = visit.page.locator(f"#{id}").bounding_box(), name.bounding_box()
            assert frame
            assert box
            assert (box["x"] + box["width"] / 2 > frame["x"] + frame["width"] / 2) is bool(side)


def test_pointing_reads_out_how_near_a_place_is(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    visit.page.select_option("#colormap", "gray")
    shown = heatmap(visit)[..., 0]
    height, width = shown.shape
    for x, y in ((0.1, 0.95), (0.8, 0.1), (0.5, 0.5)):
        box = visit.page.locator("#heatmap").bounding_box()
        assert box
        visit.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        assert nearness(visit) == pytest.approx(shown[int(y * height), int(x * width)] / 2.55, abs=3)
    assert visit.page.locator("#photo-frame .cursor").is_visible(), "the same place is marked on the photo"
    visit.page.mouse.move(1, 1)
    assert visit.page.locator(".cursor:visible").count() == 0


def test_the_keyboard_reads_out_how_near_a_place_is(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    visit.page.focus("#zoom-in")
    visit.page.keyboard.press("Tab")
    middle = nearness(visit)
    for _ in range(4):
        visit.page.keyboard.press("Shift+ArrowDown")
    assert nearness(visit) > middle + 20


def test_the_comparison_shows_photo_and_depth_on_one_place(visit: Visit, scene: Path) -> None:
    visit.upload(scene).view("compare")
    visit.page.locator("#photo-frame").scroll_into_view_if_needed()
    x, y = 0.4, 0.93  # the light cloth in front
    original = np.asarray(Image.open(scene).convert("RGB")).astype(int)[int(y * 360), int(x * 480)]

    def shown() -> NDArray[np.float64]:
        box = visit.page.locator("#photo-frame").bounding_box()
        assert box
        clip: FloatRect = {
            "x": box["x"] + x * box["width"],
            "y": box["y"] + y * box["height"],
            "width": 4,
            "height": 4,
        }
        colours = np.asarray(opened(visit.page.screenshot(clip=clip)).convert("RGB"))
        return np.asarray(colours.astype(int).mean((0, 1)))

    assert np.abs(shown() - original).max() < 30
    slide(visit, "cut", 0)
    assert np.abs(shown() - original).max() > 60
    visit.page.focus("#cut")
    visit.page.keyboard.press("End")
    assert np.abs(shown() - original).max() < 30


def sharpness(pixels: bytes, shape: tuple[int, int], column: slice, row: slice) -> float:
    """Mean difference of neighbours in a part of a picture, RGBA."""
    grey = np.frombuffer(pixels, np.uint8).reshape(*shape, 4)[row, column, :3].astype(float).mean(axis=2)
    return float(np.abs(np.diff(grey, axis=1)).mean())


@pytest.mark.parametrize("view", ["refocus", "space"])
def test_a_canvas_that_the_browser_takes_away_is_drawn_again(visit: Visit, scene: Path, view: str) -> None:
    first = visit.upload(scene).view(view).pixels(view)
    visit.lose_canvas(view)
    until(lambda: visit.pixels(view) == first)


def test_refocusing_keeps_sharp_what_is_clicked(visit: Visit, scene: Path) -> None:
    visit.upload(scene).view("refocus")
    slide(visit, "strength", 0)
    plain = visit.pixels("refocus")
    slide(visit, "strength", 100)
    height, width = visit.size("refocus")
    near = (slice(int(0.2 * width), int(0.4 * width)), slice(int(0.65 * height), int(0.88 * height)))  # the blue cup
    far = (slice(0, int(0.5 * width)), slice(0, int(0.35 * height)))  # the window and the plant
    box = visit.page.locator("#refocus").bounding_box()
    assert box
    kept = {}
    for name, (x, y) in {"near": (0.3, 0.76), "far": (0.25, 0.1)}.items():
        visit.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        pixels = visit.pixels("refocus")
        shape = (height, width)
        kept[name] = [sharpness(pixels, shape, *part) / sharpness(plain, shape, *part) for part in (near, far)]
    assert kept["near"][0] > 0.85
    assert kept["near"][1] < 0.6
    assert kept["far"][0] < 0.75
    assert kept["far"][1] > 0.85
    visit.page.focus("#refocus-frame")
    before = visit.pixels("refocus")
    for _ in range(6):
        visit.page.keyboard.press("Shift+ArrowDown")
    assert visit.pixels("refocus") != before


def test_no_halo_grows_around_a_sharp_foreground(start_visit: StartVisit) -> None:
    """A black square in front of a white wall, in focus: the wall stays white up to the square's edge."""
    visit = start_visit()
    white = visit.page.evaluate(
        """async () => {
            const { Bokeh } = await import("/static/views/refocus_drawing.js");
            const [width, height] = [240, 180];
            const photo = document.createElement("canvas");
            [photo.width, photo.height] = [width, height];
            const context = photo.getContext("2d");
            context.fillStyle = "#fff"; context.fillRect(0, 0, width, height);
            context.fillStyle = "#000"; context.fillRect(80, 60, 80, 60);
            const values = new Float32Array(width * height).map((_, at) => {
                const x = at % width, y = Math.floor(at / width);
                const inside = Math.min(x - 80, 159 - x, y - 60, 119 - y);
                return Math.min(Math.max(0.5 + inside / 6, 0), 1);  // soft, as from a small grid
            });
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [width, height];
            const bokeh = new Bokeh(canvas);
            bokeh.load(photo, { values, width, height }, 4);
            bokeh.draw(bokeh.nearnessAt({ x: 0.5, y: 0.5 }), 1);
            await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
            const copy = document.createElement("canvas");
            [copy.width, copy.height] = [width, height];
            copy.getContext("2d").drawImage(canvas, 0, 0);
            return Array.from(copy.getContext("2d").getImageData(0, 90, width, 1).data).filter((_, at) => at % 4 === 0);
        }"""
    )
    assert min(white[:78]) > 235
    assert max(white[82:158]) < 20


def test_a_browser_without_webgl_says_so(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(script=NO_WEBGL).upload(scene)
    for view in ("space", "refocus"):
        visit.view(view)
        assert "does not support WebGL" in visit.page.inner_text(f"#{view}-frame")


def test_a_broken_file_is_explained_and_the_next_one_works(visit: Visit, scene: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no photo")
    visit.page.set_input_files("#file", broken)
    visit.page.wait_for_selector("#failure:visible")
    assert visit.page.inner_text("#failed-name") == "broken.jpg"
    assert visit.page.inner_text("#failed-words").startswith("This file is damaged")
    visit.upload(scene)
    assert visit.page.locator("#failure").is_hidden()


FORMATS = [
    {"name": "Etching", "suffixes": [".etch"], "media_types": ["image/x-etching"]},
    {"name": "Fresco", "suffixes": [".fres", ".fr"], "media_types": ["image/x-fresco", "image/fresco"]},
    {"name": "PNG", "suffixes": [".png"], "media_types": ["image/png"]},
]
INSTEAD_OF_PHOTOS_JSON = """
    const known = window.fetch;
    window.fetch = (url, ...rest) => url === "static/photos.json" ? %s : known(url, ...rest);
"""
PDF = b"%PDF-1.7\n"


def test_the_page_offers_the_photo_formats_that_the_service_names(start_visit: StartVisit) -> None:
    named = f"Promise.resolve(Response.json({json.dumps({'formats': FORMATS})}))"
    page = start_visit(script=INSTEAD_OF_PHOTOS_JSON % named).page
    assert page.get_attribute("#file", "accept") == "image/x-etching,image/x-fresco,image/fresco,image/png"
    assert page.inner_text("#formats") == "Etching, Fresco or PNG."
    page.click("#language")
    assert page.inner_text("#formats") == "支持 Etching、Fresco 或 PNG。"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("one.PDF", PDF, "PDF files are not supported. Export the photo as JPEG, PNG"),
        ("one.jpg", PDF, "This kind of file is not supported. Export the photo as JPEG, PNG"),
        ("one.png", b"no photo", "This does not look like a JPEG, PNG"),
    ],
)
def test_a_file_of_another_kind_is_explained(visit: Visit, tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    visit.page.set_input_files("#file", tmp_path / name)
    visit.page.wait_for_selector("#failure:visible")
    assert visit.page.inner_text("#failed-words").startswith(words)


def test_a_page_that_cannot_load_the_formats_works(
    start_visit: StartVisit, site: RunningService, scene: Path, tmp_path: Path
) -> None:
    visit = start_visit(script=INSTEAD_OF_PHOTOS_JSON % "Promise.reject(new TypeError('offline'))")
    assert visit.page.get_attribute("#file", "accept") == "image/*"
    (tmp_path / "one.pdf").write_bytes(PDF)
    visit.page.set_input_files("#file", tmp_path / "one.pdf")
    visit.page.wait_for_selector("#failure:visible")
    with site.client() as client:
        detail = client.post("/depth", files={"image": PDF}).json()["detail"]
    assert visit.page.inner_text("#failed-words") == detail
    visit.upload(scene)


def test_an_unknown_error_is_told_in_the_services_words(visit: Visit, scene: Path) -> None:
    problem = json.dumps({"code": "new_code", "detail": "Something <b>new</b> happened."})
    visit.page.route("**/depth*", lambda route: route.fulfill(status=422, body=problem))
    visit.page.set_input_files("#file", scene)
    visit.page.wait_for_selector("#failure:visible")
    assert "Something <b>new</b> happened." in visit.page.inner_text("#failure")


def test_a_busy_service_is_asked_again(visit: Visit, scene: Path) -> None:
    answers = iter([503, 429])

    def answer(route: Route) -> None:
        if status := next(answers, None):
            route.fulfill(status=status, headers={"Retry-After": "1"}, body='{"code": "queue_full", "detail": ""}')
        else:
            route.continue_()

    visit.page.route("**/depth*", answer)
    visit.page.set_input_files("#file", scene)
    visit.page.wait_for_function("() => document.getElementById('progress-words').textContent.includes('busy')")
    visit.shown("scene.png")


def test_a_photo_under_way_can_be_cancelled(visit: Visit, scene: Path) -> None:
    visit.page.route("**/depth*", lambda route: None)
    visit.page.set_input_files("#file", scene)
    with visit.page.expect_event("requestfailed"):
        visit.page.click("#cancel")
    assert visit.page.locator("#waiting").is_hidden()
    assert visit.page.locator("#failure").is_hidden()


def test_a_photo_is_upright_as_its_camera_held_it(visit: Visit, site: RunningService, tmp_path: Path) -> None:
    lying = Image.fromarray(photo(120, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    path.write_bytes(encoded(lying, "JPEG", exif=exif))
    visit.upload(path)
    assert "120 × 200" in visit.page.inner_text("#facts")
    with site.client() as client:
        assert client.post("/depth", files={"image": path.read_bytes()}).headers["X-Depth-Shape"] == "200,120"


XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
QUARTERS = np.array([[(200, 30, 30), (30, 180, 30)], [(30, 30, 200), (220, 220, 40)]], np.uint8)


def stored(format: str, orientation: int, **options: object) -> bytes:
    """Four colours that are to be turned by their metadata."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(QUARTERS.repeat(60, axis=0).repeat(100, axis=1), format, exif=exif, **options)


def xmp_jpeg(orientation: int) -> bytes:
    """A JPEG that is to be turned by its XMP alone, as browsers don't."""
    segment = b"http://ns.adobe.com/xap/1.0/\0" + (XMP % orientation).encode()
    data = encoded(QUARTERS.repeat(60, axis=0).repeat(100, axis=1), "JPEG", quality=95)
    return data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]


@pytest.mark.parametrize(
    ("name", "data", "orientation"),
    [
        ("phone.jpg", stored("JPEG", 6, quality=95), 6),
        ("head.jpg", stored("JPEG", 3, quality=95), 3),
        ("mirror.jpg", stored("JPEG", 2, quality=95), 2),
        ("editor.jpg", xmp_jpeg(6), 6),
        ("editor-head.jpg", xmp_jpeg(3), 3),
        ("web.webp", stored("WEBP", 6, quality=95), 6),
        ("web-head.webp", stored("WEBP", 3, quality=95), 3),
        ("screen.png", stored("PNG", 8), 8),
        ("page.tiff", stored("TIFF", 6), 6),
        ("iphone.heic", stored("HEIF", 6, quality=95), 6),
    ],
)
def test_the_page_shows_a_photo_turned_as_the_service_sees_it(
    visit: Visit, tmp_path: Path, name: str, data: bytes, orientation: int
) -> None:
    """Also where browsers go by other metadata, or can't decode it."""
    (tmp_path / name).write_bytes(data)
    visit.upload(tmp_path / name)
    script = """async () => {
        const image = document.querySelector("#photo"), copy = document.createElement("canvas");
        await image.decode();
        [copy.width, copy.height] = [image.naturalWidth, image.naturalHeight];
        copy.getContext("2d").drawImage(image, 0, 0);
        return copy.toDataURL();
    }"""
    _, _, shown = visit.page.evaluate(script).partition(",")
    pixels = np.asarray(opened(base64.b64decode(shown)).convert("RGB")).astype(int)
    upright = Image.fromarray(QUARTERS)
    turn = {2: 0, 3: 3, 6: 4, 8: 2}[orientation]  # Pillow's numbers: mirrored, by 180, 270 and 90 degrees
    expected = np.asarray(upright.transpose(Image.Transpose(turn))).astype(int)
    height, width = pixels.shape[:2]
    assert (height > width) == (orientation >= 5)
    middles = pixels[[height // 4, 3 * height // 4]][:, [width // 4, 3 * width // 4]]
    assert np.abs(middles - expected).max() < 30


def test_a_photo_that_is_too_large_is_shrunk_by_the_browser(
    start_visit: StartVisit, start_service: StartService, scene: Path, tmp_path: Path
) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(encoded(photo(900, 1600), "JPEG", quality=100))
    for option, value, size in (("--max-upload-mb", "0.6", "1600 × 900"), ("--max-megapixels", "1", "1333 × 750")):
        service = start_service("--model", "embedded", "--workers", "1", "--worker-threads", "1", option, value)
        visit = start_visit(service.url).upload(path)
        assert visit.page.locator("#shrunk-note").is_visible()
        assert size in visit.page.inner_text("#facts")
        visit.upload(scene)
        assert visit.page.locator("#shrunk-note").is_hidden()


def test_a_limit_is_named_beside_the_button(visit: Visit, tmp_path: Path) -> None:
    """For photos that the browser cannot make smaller itself."""
    limits = json.dumps({"formats": FORMATS, "max_bytes": 2_500_000, "max_pixels": 50_000_000, "live": False})
    visit.page.route("**/photos.json", lambda route: route.fulfill(body=limits))
    problems = {
        "too_many_pixels": "The photo has 61.2 megapixels; this service accepts 50. Resize it and try again.",
        "body_too_large": "The file has 1.2 MB; this service accepts 2.5.",
    }
    path = tmp_path / "scan.tiff"
    path.write_bytes(b"II*\0".ljust(1_200_000))
    detail = "The image has 9000 x 6800 pixels; the limit is 50 megapixels. Resize it."
    bodies = iter([json.dumps({"code": code, "detail": detail}) for code in problems])
    visit.page.route(re.compile(r"/depth\?"), lambda route: route.fulfill(status=422, body=next(bodies)))
    for words in problems.values():
        visit.open().page.set_input_files("#file", path)
        visit.page.wait_for_selector("#failure:visible")
        assert visit.page.inner_text("#failed-words").startswith(words)
        assert visit.page.locator("#drop #failure").is_visible()


def test_a_photo_may_be_dropped_on_a_result(visit: Visit, scene: Path) -> None:
    drag = """([type, kind]) => {
        const dataTransfer = new DataTransfer();
        if (kind === "file") dataTransfer.items.add(new File(["a"], "a.png"));
        else dataTransfer.setData("text/plain", "words");
        document.querySelector("#result").dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true }));
    }"""
    visit.upload(scene)
    for type, kind, marked in (("dragover", "file", True), ("dragleave", "file", False), ("dragover", "text", False)):
        visit.page.evaluate(drag, [type, kind])
        assert visit.page.locator("#drop-mark").is_visible() is marked


def test_the_fallback_is_explained_once(visit: Visit) -> None:
    fallback = json.dumps({"model": "embedded", "degraded": True})
    visit.page.route("**/health", lambda route: route.fulfill(body=fallback))
    page = visit.open().page
    page.wait_for_selector("#fallback:visible")
    assert page.inner_text("body").count("not installed") == 1
    page.click("#fallback-close")
    visit.open()
    page.wait_for_function("() => document.querySelector('#model').innerText === 'Model: embedded (stand-in)'")
    assert page.locator("#fallback").is_hidden()


def test_the_page_speaks_the_browsers_language_and_can_be_switched(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(locale="zh-CN")
    page = visit.page
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.inner_text("label[for=file]") == "上传照片测距"
    page.wait_for_selector("#model:text-is('模型：embedded')")
    visit.upload(scene)
    page.hover("#heatmap")
    assert page.inner_text("#readout").startswith("相对远近")
    page.click("#language")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.inner_text("label[for=file]") == "Upload a photo"
    assert "pixels" in page.inner_text("#facts")
    visit.open()
    assert page.evaluate("document.documentElement.lang") == "en", "the choice is remembered"


def test_both_languages_have_all_words() -> None:
    def words(language: str) -> dict[str, str]:
        source = (SAMPLES.parent / f"words/{language}.js").read_text()
        return dict(re.findall(r"^  (\w+):\s+([^\n]*)", source, re.MULTILINE))

    english, chinese = words("en"), words("zh")
    assert english.keys() == chinese.keys()
    html = (SAMPLES.parent / "index.html").read_text()
    assert set(re.findall(r'data-(?:words|metres|label|alt)="(\w+)"', html)) <= english.keys()
    for key in english:
        filled_in = [sorted(re.findall(r"\{\w+\}", text[key])) for text in (english, chinese)]
        assert filled_in[0] == filled_in[1], key


def test_a_phone_needs_no_scrolling_to_the_side(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(**PHONE)

    def fits() -> bool:
        return bool(visit.page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["viewport"]["width"])

    assert fits()
    visit.upload(scene)
    for view in ("heatmap", "compare", "space", "refocus"):
        visit.view(view)
        assert fits(), view
    buttons = visit.page.locator(".choices > .button:visible").evaluate_all(
        "buttons => buttons.map((button) => button.getBoundingClientRect().top)"
    )
    assert len(buttons) == 3
    assert len(set(buttons)) == 1, "they are on one line"
    upper, lower = visit.page.locator("#photo").bounding_box(), visit.page.locator("#refocus").bounding_box()
    assert upper
    assert lower
    assert upper["y"] + upper["height"] <= lower["y"], "photo and depth are one above the other"


def test_fingers_find_every_slider_choice_and_check_box(start_visit: StartVisit, scene: Path) -> None:
    visit = start_visit(**PHONE).upload(scene)
    controls = visit.page.locator(":is(select, .check, input[type=range]):visible")
    heights = controls.evaluate_all("elements => elements.map((element) => element.getBoundingClientRect().height)")
    assert len(heights) >= 5
    assert min(heights) >= 36


def test_a_phone_shows_at_once_what_went_wrong_and_keeps_what_was_tapped(
    start_visit: StartVisit, scene: Path, tmp_path: Path
) -> None:
    visit = start_visit(**PHONE)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no photo")
    visit.page.set_input_files("#file", broken)
    visit.page.wait_for_selector("#failure:visible")
    box = visit.page.locator("#failure").bounding_box()
    assert box
    assert 0 <= box["y"] <= box["y"] + box["height"] <= PHONE["viewport"]["height"]
    visit.upload(scene)
    visit.page.locator("#heatmap-frame").tap()
    assert re.search(r"Relative nearness \d+ %", visit.page.inner_text("#readout"))
    assert visit.page.locator("#heatmap-frame .cursor").is_visible()


def test_a_page_that_may_store_nothing_works(start_visit: StartVisit, scene: Path) -> None:
    forbid = "for (const kind of ['localStorage', 'sessionStorage']) "
    forbid += "Object.defineProperty(window, kind, { get() { throw new DOMException('denied'); } });"
    visit = start_visit(script=forbid).upload(scene)
    visit.page.click("#language")
    assert "embedded" in visit.page.inner_text("#facts")


@pytest.mark.parametrize("shape", ["480,640", "foo", ""])
def test_depth_that_cannot_be_is_no_result(visit: Visit, scene: Path, shape: str) -> None:
    visit.page.route("**/depth*", lambda route: route.fulfill(headers={"X-Depth-Shape": shape}, body=b"ab"))
    visit.page.set_input_files("#file", scene)
    visit.page.wait_for_selector("#failure:visible")
    assert visit.page.locator("#heatmap").is_hidden()


def test_a_service_with_keys_asks_for_one(start_visit: StartVisit, start_service: StartService, scene: Path) -> None:
    locked = start_service(
        "--model", "embedded", "--workers", "1", "--worker-threads", "1", "--api-keys", "open-sesame"
    )
    visit = start_visit(origin=locked.url)
    page = visit.page
    page.set_input_files("#file", scene)
    page.wait_for_selector("#access:visible")
    assert "needs an API key" in page.inner_text("#failure")
    page.fill("#key", "密钥")
    page.click("#access button")
    page.wait_for_function("() => document.getElementById('failure').textContent.includes('not accepted')")
    page.fill("#key", "wrong")
    page.click("#access button")
    page.wait_for_function("() => document.getElementById('failure').textContent.includes('not accepted')")
    page.fill("#key", "open-sesame")
    page.keyboard.press("Enter")
    visit.shown("scene.png")
    assert page.locator("#access").is_hidden()
    visit.open().upload(scene)


def test_a_large_photo_costs_no_more_than_the_screen(visit: Visit, tmp_path: Path) -> None:
    """Colours and limits of a photo of 12 megapixels; pytest -s prints how long they take."""
    large = tmp_path / "large.jpg"
    with Image.open(SAMPLES / "street.jpg") as image:
        large.write_bytes(encoded(image.resize((4000, 3000)), "JPEG"))
    visit.upload(large)
    assert max(visit.size("heatmap")) <= 1600
    took = visit.page.evaluate(
        """() => {
            const painted = [];
            const known = CanvasRenderingContext2D.prototype.putImageData;
            CanvasRenderingContext2D.prototype.putImageData = function (image, ...rest) {
                painted.push(image.width * image.height);
                known.call(this, image, ...rest);
            };
            const change = (id, value) => {
                const element = document.getElementById(id);
                element.value = value;
                const began = performance.now();
                element.dispatchEvent(new Event("input"));
                return performance.now() - began;
            };
            const names = ["magma", "jet", "hot", "viridis", "gray", "inferno"];
            const colormaps = names.map((name) => change("colormap", name));
            const limits = [10, 20, 30, 40, 50].map((limit) => change("far", limit));
            CanvasRenderingContext2D.prototype.putImageData = known;
            return { colormaps, limits, most: Math.max(...painted) };
        }"""
    )
    print({name: np.round(values, 1) for name, values in took.items()})
    height, width = visit.size("heatmap")
    assert took["most"] == height * width


@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_nobody_is_shut_out(
    start_visit: StartVisit, scene: Path, axe: str, locale: str, scheme: str, tmp_path: Path
) -> None:
    visit = start_visit(locale=locale, color_scheme=scheme, bypass_csp=True)
    visit.page.add_script_tag(content=axe)

    def violations() -> list[str]:
        found = visit.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
        return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in found for node in v["nodes"]]

    assert violations() == []
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    visit.page.set_input_files("#file", tmp_path / "broken.png")
    visit.page.wait_for_selector("#failure:visible")
    assert violations() == []
    visit.page.set_input_files("#file", [scene, tmp_path / "broken.png"])
    visit.page.wait_for_selector("#series-list [data-state=failed]")
    visit.shown(scene.name).page.click("#recipes summary")
    for view in ("heatmap", "compare", "space", "refocus"):
        visit.view(view)
        assert violations() == [], view


def test_icons_need_no_font_and_say_nothing(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    icons = visit.page.locator("[data-icon] > svg[aria-hidden=true]")
    assert icons.count() == visit.page.locator("[data-icon]").count() > 10
    for name in ("Live", "Take a photo", "切换到中文"):
        assert visit.page.get_by_role("button", name=name, exact=True).is_visible()
    for path in [SAMPLES.parent / "index.html", *(SAMPLES.parent / "words").glob("*.js")]:
        assert re.findall(r"[\U0001f300-\U0001faff]", path.read_text()) == []
