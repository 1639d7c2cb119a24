"""The choice among the models of a service, of which these tests tell the page that there are several."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Request, Route

from tests.browser.conftest import StartVisit, Visit, asked, downloaded
from tests.conftest import RunningService

EMBEDDED = {"name": "embedded", "kind": "inverse_depth", "licence": "MIT", "non_commercial": False}
METRIC = {"name": "metric", "kind": "metres", "licence": "CC-BY-NC-4.0", "non_commercial": True}


DEPTH = np.linspace(1, 9, 24 * 32, dtype="<f2")


def offer(visit: Visit, *models: dict[str, Any]) -> list[str | None]:
    """Have the page find these models in the service. Returns by which names photos will have asked for one.

    What a model answers is in its `depth`, (24, 32) in any shape, or the same for all.
    """
    answers = {model["name"]: model.get("depth", DEPTH).astype("<f2").tobytes() for model in models}
    models = tuple({key: value for key, value in model.items() if key != "depth"} for model in models)
    served = [model["name"] for model in models]
    kinds = {model["name"]: model["kind"] for model in models}
    asked: list[str | None] = []

    def depth(route: Route) -> None:
        [name] = parse_qs(urlsplit(route.request.url).query).get("model", [None])
        asked.append(name)
        model = name or served[0]
        headers = {"X-Depth-Shape": "24,32", "X-Depth-Model": model, "X-Depth-Kind": kinds[model]}
        headers["Server-Timing"] = "queue;dur=100, decode;dur=1.2, infer;dur=20, render;dur=3"
        route.fulfill(headers=headers, body=answers[model])

    body = json.dumps({"in_use": served[0], "served": served, "models": models})
    visit.page.route("**/models", lambda route: route.fulfill(body=body))
    for path in (re.compile(r"/depth\?"), re.compile(r"/bokeh\?")):
        visit.page.route(path, depth)
    visit.open()
    return asked


def choose(visit: Visit, model: str) -> None:
    """Choose a model, and wait until the photo has its depth."""
    visit.page.select_option("#model-choice", model)
    visit.page.wait_for_function(
        "model => document.querySelector('#facts').textContent.includes(`· ${model} ·`)", arg=model
    )
    visit.page.wait_for_selector("#waiting", state="hidden")


def posted(request: Request) -> bool:
    return request.method == "POST"


def test_a_service_with_one_model_offers_no_choice(visit: Visit, scene: Path) -> None:
    visit.upload(scene)
    assert visit.page.locator("#models").is_hidden()
    [request] = filter(posted, visit.requests)
    assert "model=" not in request.url.replace("size=model", "")


def test_another_model_computes_the_photo_again(visit: Visit, scene: Path) -> None:
    asked = offer(visit, EMBEDDED, METRIC)
    visit.upload(scene)
    options = visit.page.locator("#model-choice option").all_inner_texts()
    assert options == ["embedded", "metric (metres)"]
    assert "not metres" in visit.page.inner_text("#meaning")
    choose(visit, "metric")
    assert asked == [None, "metric"]
    assert "values are metres" in visit.page.inner_text("#meaning")
    assert visit.page.locator("#scale-note").is_visible()
    choose(visit, "embedded")
    assert asked == [None, "metric", None], "the default needs no name"
    assert "not metres" in visit.page.inner_text("#meaning")
    assert visit.page.locator("#scale-note").is_hidden()
    assert visit.page.inner_text("#far-end") == "far"


def test_a_photo_is_refocused_by_the_model_that_it_is_shown_with(visit: Visit, scene: Path) -> None:
    asked = offer(visit, EMBEDDED, METRIC)
    visit.upload(scene)
    choose(visit, "metric")
    downloaded(visit.view("refocus"), "refocused")
    assert asked == [None, "metric", "metric"]


def test_the_choice_is_remembered_as_long_as_the_model_is_served(visit: Visit, scene: Path) -> None:
    asked = offer(visit, EMBEDDED, METRIC)
    visit.page.select_option("#model-choice", "metric")
    visit.open().upload(scene)
    assert visit.page.input_value("#model-choice") == "metric"
    assert asked == ["metric"]
    asked = offer(visit, EMBEDDED)
    visit.upload(scene)
    assert asked == [None]


def test_what_is_sent_before_the_models_are_known_waits_for_them(visit: Visit, scene: Path) -> None:
    asked = offer(visit, EMBEDDED, METRIC)
    visit.page.select_option("#model-choice", "metric")
    held: list[Route] = []
    visit.page.unroute("**/models")
    visit.page.route("**/models", lambda route: held.append(route))
    visit.page.reload()
    visit.page.wait_for_selector("#colormap", state="attached")
    visit.page.wait_for_function("() => document.querySelector('#file').accept !== 'image/*'")
    visit.page.set_input_files("#file", scene)
    visit.page.wait_for_selector("#waiting:visible")
    assert asked == []
    models = [EMBEDDED, METRIC]
    held[0].fulfill(body=json.dumps({"served": ["embedded", "metric"], "models": models}))
    visit.shown("scene.png")
    assert asked == ["metric"]


def test_a_model_chosen_before_a_photo_only_says_what_it_is(visit: Visit) -> None:
    offer(visit, EMBEDDED, METRIC)
    visit.page.wait_for_selector("#model:text-is('Model: embedded')")
    assert visit.page.locator("#licence-note").is_hidden()
    visit.requests.clear()
    visit.page.select_option("#model-choice", "metric")
    visit.page.wait_for_selector("#licence-note:visible")
    assert visit.page.inner_text("#model") == "Model: metric · non-commercial use only"
    assert visit.page.inner_text("#licence-note") == (
        "The licence of metric's weights forbids commercial use: CC-BY-NC-4.0."
    )
    assert "values are metres" in visit.page.inner_text("#meaning")
    assert list(filter(posted, visit.requests)) == []


def test_a_non_commercial_model_says_so_where_there_is_no_choice(visit: Visit) -> None:
    offer(visit, METRIC)
    assert visit.page.locator("#models").is_hidden()
    visit.page.wait_for_selector("#licence-note:visible")
    assert "CC-BY-NC-4.0" in visit.page.inner_text("#licence-note")
    visit.page.click("#language")
    assert visit.page.inner_text("#model") == "模型：metric · 仅限非商业用途"


def test_a_cancelled_photo_is_not_sent_to_another_model(visit: Visit, scene: Path, tmp_path: Path) -> None:
    asked = offer(visit, EMBEDDED, METRIC)
    visit.upload(scene)
    held = re.compile(r"/depth\?")

    def hold(_: Route) -> None:
        pass

    visit.page.route(held, hold)
    other = tmp_path / "other.png"
    other.write_bytes(scene.read_bytes())
    visit.page.set_input_files("#file", other)
    with visit.page.expect_event("requestfailed"):
        visit.page.click("#cancel")
    visit.page.unroute(held, hold)
    choose(visit, "metric")
    assert visit.page.inner_text("#facts").startswith("scene.png")
    assert asked == [None, "metric"]


def test_a_model_that_is_served_no_more_is_explained(visit: Visit, scene: Path) -> None:
    offer(visit, EMBEDDED, METRIC)
    visit.upload(scene)
    problem = {"code": "invalid_parameter", "detail": "model: 'metric' is not one of embedded."}
    refusal = json.dumps(problem)
    visit.page.route(re.compile(r"/depth\?"), lambda route: route.fulfill(status=422, body=refusal))
    visit.page.select_option("#model-choice", "metric")
    visit.page.wait_for_selector("#failure:visible")
    assert "model: 'metric' is not one of embedded." in visit.page.inner_text("#failure")
    assert "embedded" in visit.page.inner_text("#facts"), "the last result stays"


def test_a_service_with_keys_offers_its_models_to_who_has_one(visit: Visit, scene: Path) -> None:
    offer(visit, EMBEDDED, METRIC)

    def lock(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer open-sesame":
            route.fallback()
        else:
            route.fulfill(status=401, body='{"code": "unauthorized", "detail": ""}')

    visit.page.route(re.compile(r"/(models|depth\?.*)$"), lock)
    visit.open().page.set_input_files("#file", scene)
    visit.page.wait_for_selector("#access:visible")
    assert visit.page.locator("#models").is_hidden()
    visit.page.wait_for_selector("#model:text-is('Model: embedded')")
    visit.page.fill("#key", "open-sesame")
    visit.page.keyboard.press("Enter")
    visit.shown("scene.png")
    assert visit.page.locator("#models").is_visible()


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_the_choice_can_be_used_by_everyone(start_visit: StartVisit, scene: Path, axe: str, locale: str) -> None:
    visit = start_visit(locale=locale, bypass_csp=True)
    offer(visit, EMBEDDED, METRIC)
    visit.upload(scene)
    choose(visit, "metric")
    visit.page.add_script_tag(content=axe)
    found = visit.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    assert [f"{v['id']}: {node['target']}" for v in found for node in v["nodes"]] == []


def test_more_detail_is_asked_for_within_the_services_limit(visit: Visit, scene: Path) -> None:
    page = visit.upload(scene).page
    assert page.locator("#detail-choice option").all_inner_texts() == [
        "Usual (192 px)",
        "× 1.5 (288 px)",
        "× 2 (384 px)",
    ]
    page.uncheck("#edges")
    with page.expect_response(re.compile(r"/depth\?.*input_size=288")) as answer:
        page.select_option("#detail-choice", "1.5")
    assert "288" in answer.value.headers["x-depth-shape"].split(",")
    larger = {**EMBEDDED, "input": {"size": 640, "multiple": 32, "rule": "minimal"}}
    body = json.dumps({"served": ["embedded"], "models": [larger]})
    page.route("**/models", lambda route: route.fulfill(body=body))
    sizes = visit.open().page.locator("#detail-choice option").all_inner_texts()
    assert sizes == ["Usual (640 px)", "× 1.5 (960 px)"]
    page.route("**/photos.json", lambda route: route.fulfill(status=500))  # then the limit is not known
    visit.open().page.select_option("#detail-choice", "2")
    page.set_input_files("#file", scene)
    page.wait_for_selector("#failure:visible")
    assert page.inner_text("#failed-words").startswith("This service accepts at most 1024 px of detail.")


def test_edges_are_sharp_as_the_model_is_meant_to_be_used_and_as_chosen(
    visit: Visit, site: RunningService, scene: Path
) -> None:
    page = visit.upload(scene).page
    assert page.is_checked("#edges")
    [request] = filter(posted, visit.requests)
    assert parse_qs(urlsplit(request.url).query) == {"size": ["screen"], "refine": ["true"]}
    fine = downloaded(visit, "npy")[1]
    with page.expect_response(re.compile(r"/depth\?size=model")):
        page.uncheck("#edges")
    page.wait_for_selector("#waiting", state="hidden")
    smooth = downloaded(visit, "npy")[1]
    for own, query in ((fine, ""), (smooth, "&refine=false")):
        served = np.load(io.BytesIO(asked(site, scene, f"/depth?format=npy{query}")))
        np.testing.assert_allclose(
            np.load(io.BytesIO(own)).astype(float), served.astype(float), atol=0.002 * np.ptp(served)
        )
    assert fine != smooth


def test_results_of_official_models_are_not_sharpened_unasked(visit: Visit, scene: Path) -> None:
    offer(visit, METRIC)
    visit.upload(scene)
    assert not visit.page.is_checked("#edges")
    assert "size=model" in next(filter(posted, visit.requests)).url
    with visit.page.expect_request(re.compile(r"/depth\?size=screen&refine=true")):
        visit.page.check("#edges")


def test_a_model_of_one_size_offers_no_detail(visit: Visit) -> None:
    offer(visit, {**EMBEDDED, "input": {"size": 256, "multiple": 32, "rule": "stretch"}})
    assert visit.page.locator("#details").is_hidden()
