"""The clients that people have, as they come from the package index, against the server."""

from __future__ import annotations

import base64
import threading
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageDraw
from support.serving import Running

from latentry import read_recipe

openai = pytest.importorskip("openai")
webuiapi = pytest.importorskip("webuiapi")


@pytest.fixture
def client(server: Running) -> Any:
    """OpenAI's."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as found:
        yield found


@pytest.fixture
def webui(server: Running) -> Any:
    """AUTOMATIC1111's."""
    found = webuiapi.WebUIApi(port=server.port, sampler="Euler a", steps=4)
    yield found
    found.session.close()


def opened(text: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(text)))


def file(picture: Image.Image) -> BytesIO:
    found = BytesIO()
    picture.save(found, "PNG")
    found.seek(0)
    found.name = "picture.png"
    return found


def test_openai_draws_several(client: Any) -> None:
    further = {"steps": 3, "seed": 5, "scheduler": "euler"}
    answer = client.images.generate(
        prompt="a", model="toy", n=2, size="64x72", response_format="b64_json", extra_body={"latentry": further}
    )
    assert len(answer.data) == 2
    for index, one in enumerate(answer.data):
        assert opened(one.b64_json).size == (64, 72)
        recipe = read_recipe(BytesIO(base64.b64decode(one.b64_json)))
        assert (recipe.index, recipe.request.seed, recipe.request.steps) == (index, 5, 3)
    assert answer.size == "64x72"


def test_openai_draws_in_other_formats(client: Any) -> None:
    answer = client.images.generate(prompt="a", model="toy", output_format="webp")
    assert opened(answer.data[0].b64_json).format == "WEBP"


def test_openai_streams(client: Any) -> None:
    long = {"latentry": {"steps": 150}}
    stream = client.images.generate(
        prompt="a", model="toy", stream=True, partial_images=2, size="64x64", extra_body=long
    )
    events = list(stream)
    assert events[-1].type == "image_generation.completed"
    assert opened(events[-1].b64_json).size == (64, 64)
    assert {event.type for event in events[:-1]} == {"image_generation.partial_image"}
    assert 1 <= len(events[:-1]) <= 2
    assert [event.partial_image_index for event in events[:-1]] == list(range(len(events) - 1))


def test_openai_edits_within_a_mask(client: Any) -> None:
    """Where the mask is transparent the picture changes, elsewhere it stays as it was."""
    picture, mask = Image.new("RGB", (64, 64), "white"), Image.new("RGBA", (64, 64), "black")
    ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=(0, 0, 0, 0))
    answer = client.images.edit(
        image=file(picture), mask=file(mask), prompt="red", model="toy", extra_body={"latentry": {"steps": 4}}
    )
    drawn = opened(answer.data[0].b64_json).convert("RGB")
    assert drawn.getpixel((2, 2)) == (255, 255, 255)
    assert drawn.getpixel((32, 32)) != (255, 255, 255)


def test_openai_edits_all_of_it(client: Any) -> None:
    answer = client.images.edit(image=file(Image.new("RGB", (64, 64), "white")), prompt="red", model="toy")
    assert opened(answer.data[0].b64_json).size == (64, 64)
    events = list(
        client.images.edit(image=file(Image.new("RGB", (64, 64), "white")), prompt="red", model="toy", stream=True)
    )
    assert events[-1].type == "image_edit.completed"


def test_openai_lists_models(client: Any) -> None:
    assert {"toy", "toy-flow"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("toy").id == "toy"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"size": "8192x8192"}, "PermissionDeniedError", "67,108,864 pixels"),
        ({"size": "large"}, "UnprocessableEntityError", "size"),
        ({"n": 10_000}, "UnprocessableEntityError", "n:"),
        ({"background": "transparent"}, "UnprocessableEntityError", "background"),
        ({"response_format": "url"}, "UnprocessableEntityError", "response_format"),
        ({"model": "/etc/passwd"}, "PermissionDeniedError", "may not be opened"),
        ({"extra_body": {"latentry": {"scheduler": "unicp"}}}, "UnprocessableEntityError", "Did you mean"),
    ],
)
def test_openai_is_told_what_is_wrong(client: Any, fields: dict[str, Any], error: str, words: str) -> None:
    with pytest.raises(getattr(openai, error), match=words):
        client.images.generate(**{"prompt": "a", "model": "toy", **fields})


def test_webui_draws_and_reads_its_settings(webui: Any) -> None:
    found = webui.txt2img(prompt="a", seed=7, width=64, height=72, batch_size=2, n_iter=2, sampler_name="DPM++ 2M")
    assert [image.size for image in found.images] == [(64, 72)] * 4
    assert "Sampler: DPM++ 2M" in found.info["infotexts"][0]
    assert found.info["seed"] == 7
    assert "Seed: 7" in webui.png_info(found.image).info


def test_webuis_size_of_a_batch_is_a_count_where_pictures_are_drawn_alone(webui: Any) -> None:
    found = webui.txt2img(prompt="a", seed=7, width=64, height=64, batch_size=2, sampler_name="DPM adaptive")
    assert [image.size for image in found.images] == [(64, 64)] * 2


def test_webui_takes_schedules_from_their_own_field(webui: Any) -> None:
    plain = webui.txt2img(prompt="a", seed=7, width=64, height=64, scheduler="Karras", sampler_name="DPM++ 2M")
    recipe = read_recipe(BytesIO(base64.b64decode(plain.json["images"][0])))
    assert recipe.request.sigmas == "latentry:karras"


@pytest.mark.parametrize(("upscaler", "mode"), [("Latent", "latent"), ("None", "pixels")])
def test_webuis_second_pass_is_ours(webui: Any, upscaler: str, mode: str) -> None:
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": upscaler, "denoising_strength": 0.6}
    found = webui.txt2img(prompt="a", seed=7, width=64, height=64, steps=4, hr_second_pass_steps=3, **hires)
    recipe = read_recipe(BytesIO(base64.b64decode(found.json["images"][0]))).request
    assert found.image.size == (128, 128)
    assert (recipe.upscale, recipe.upscale_strength, recipe.upscale_steps, recipe.upscale_mode) == (2.0, 0.6, 3, mode)
    assert "Hires upscale: 2" in found.info["infotexts"][0]


def test_webui_draws_from_a_picture(webui: Any) -> None:
    """White in the mask is redrawn, unless it is inverted."""
    picture, mask = Image.new("RGB", (64, 64), "white"), Image.new("L", (64, 64), 0)
    ImageDraw.Draw(mask).rectangle((16, 16, 47, 47), fill=255)
    assert webui.img2img(images=[picture], prompt="red", width=64, height=64).image.size == (64, 64)
    for invert, kept, drawn in ((0, (2, 2), (32, 32)), (1, (32, 32), (2, 2))):
        found = webui.img2img(
            images=[picture], mask_image=mask, inpainting_mask_invert=invert, mask_blur=0, prompt="red",
            width=64, height=64, denoising_strength=1.0,
        )  # fmt: skip
        image = found.image.convert("RGB")
        assert image.getpixel(kept) == (255, 255, 255)
        assert image.getpixel(drawn) != (255, 255, 255)


def test_webui_switches_models(webui: Any) -> None:
    assert {"toy", "toy-flow"} <= set(webui.util_get_model_names())
    webui.util_set_model("toy-flow")
    try:
        assert webui.util_get_current_model() == "toy-flow"
        assert "toy-flow" in webui.txt2img(prompt="a", width=64, height=64, sampler_name="Euler").info["sd_model_name"]
    finally:
        webui.util_set_model("toy")


def test_webui_shows_progress_and_interrupts(webui: Any) -> None:
    """Of 16 pictures one after another only those come that were finished before the interruption."""
    answers: list[Any] = []
    drawing = threading.Thread(
        target=lambda: answers.append(webui.txt2img(prompt="a", n_iter=16, steps=150, width=64, height=64))
    )
    drawing.start()
    seen = []
    while drawing.is_alive():
        progress = webui.get_progress()
        if progress["state"]["job_count"]:
            seen.append(progress["progress"])
        if progress["progress"] > 2 / 16:
            webui.interrupt()
            break
    drawing.join()
    assert seen == sorted(seen)
    assert 1 <= len(answers[0].images) < 16
    webui.util_wait_for_ready(0.01)


def test_webui_asks_for_lists(webui: Any) -> None:
    samplers = {sampler["name"] for sampler in webui.get_samplers()}
    assert {"Euler", "Euler a", "DPM++ 2M", "DDIM"} <= samplers
    assert {"automatic", "karras"} <= {schedule["name"] for schedule in webui.get_schedulers()}
    assert webui.get_loras() == webui.get_sd_vae() == webui.get_prompt_styles() == webui.get_upscalers() == []
    assert webui.get_options()["sd_model_checkpoint"] == "toy"
    assert webui.get_memory()["ram"]["total"] > 0
    assert webui.skip() == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"enable_hr": True, "hr_upscaler": "ESRGAN_4x"}, "There is no upscaler ESRGAN_4x"),
        ({"enable_hr": True, "hr_resize_x": 512}, "hr_resize_x is not served"),
        ({"restore_faces": True}, "restore_faces"),
        ({"subseed_strength": 0.5}, "subseed_strength"),
        ({"styles": ["a"]}, "styles"),
        ({"steps": 10_000}, "10,000 steps"),
        ({"sampler_name": "Eulre"}, "Did you mean"),
        ({"prompt": "a <lora:mine:1>"}, "There is no LoRA"),
        ({"override_settings": {"eta_noise_seed_delta": 1}}, "eta_noise_seed_delta"),
        ({"s_churn": 1, "sampler_name": "DDIM"}, "s_churn"),
    ],
)
def test_webui_is_told_what_is_not_served(webui: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        webui.txt2img(**{"prompt": "a", "width": 64, "height": 64, **fields})
