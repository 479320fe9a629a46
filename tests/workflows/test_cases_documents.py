"""Row A-5: documents and images of a case; a preview of each image, for nobody but those who see the image."""

from __future__ import annotations

import asyncio
import base64
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from pymongo import AsyncMongoClient

from extensions.cases.image import MOST, small
from extensions.cases.thumbnails import THUMBNAIL
from fhir_server.json import encode
from tests.workflows.clinic import DORA, SECONDS, Actor, Clinic, case

pytestmark = pytest.mark.row("A-5")
Json = dict[str, Any]
LABELS = "http://fhir-server.example/ig/CodeSystem/record-label"
SENSITIVE = {"system": LABELS, "code": "sensitive"}


def image(width: int = 800, height: int = 400, form: str = "PNG", mode: str = "RGB", **more: Any) -> bytes:
    out = BytesIO()
    Image.new(mode, (width, height), 120 if mode in ("L", "I;16") else None).save(out, form, **more)
    return out.getvalue()


def document(patient: str, encounter: str, *attachments: Json, **more: Any) -> Json:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"text": "Photograph"},
        "subject": {"reference": patient},
        "date": "2026-01-01T10:00:00Z",
        "author": [{"reference": DORA}],
        "content": [{"attachment": one} for one in attachments],
        "context": {"encounter": [{"reference": encounter}]},
        **more,
    }


def inline(content: bytes, kind: str = "image/png") -> Json:
    return {"contentType": kind, "data": base64.b64encode(content).decode()}


def previews(made: Json) -> list[Json]:
    flag = [{"url": THUMBNAIL, "valueBoolean": True}]
    return [one["attachment"] for one in made.get("content", ()) if one.get("extension") == flag]


async def seen(actor: Actor, made: Json, count: int = 1) -> Json:
    """The document once it has so many previews."""
    (found,) = await actor.until(
        f"DocumentReference?_id={made['id']}", lambda found: len(found) == 1 and len(previews(found[0])) == count
    )
    return found


async def opened(clinic: Clinic, dora: Actor) -> tuple[str, str]:
    patient = clinic.patient()
    made = await dora.post("Encounter", case(patient, DORA))
    return patient, f"Encounter/{made['id']}"


async def upload(actor: Actor, content: bytes, context: str, kind: str = "image/png") -> str:
    """A Binary of raw content: "Binary/…"."""
    headers = {"Content-Type": kind, "X-Security-Context": context}
    answer = await actor.http.post("Binary", content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    return f"Binary/{answer.json()['id']}"


async def shown(actor: Actor, url: str) -> Image.Image:
    answer = await actor.http.get(url, headers={"Accept": "image/*"})
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


async def test_a_photograph_of_the_case(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick, clinic.acting("sara") as sara:
        patient, path = await opened(clinic, dora)
        url = await upload(nick, image(), path)
        paper = await upload(nick, b"%PDF-1.7", path, "application/pdf")
        files = [{"contentType": "image/png", "url": url}, {"contentType": "application/pdf", "url": paper}]
        made = await dora.post("DocumentReference", document(patient, path, *files))
        now = await seen(nick, made)
        (preview,) = previews(now)
        picture = await shown(nick, preview["url"])
        assert (picture.size, picture.format) == ((256, 128), "JPEG")
        assert [one["attachment"] for one in now["content"][:2]] == files
        assert [one["id"] for one in await nick.found(f"DocumentReference?encounter={path}")] == [made["id"]]
        for hidden in (url, preview["url"], f"DocumentReference/{made['id']}"):
            await sara.get(hidden, expect=404)


async def test_an_image_in_the_document_and_its_end(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("ada") as ada:
        patient, path = await opened(clinic, dora)
        made = await dora.post("DocumentReference", document(patient, path, inline(image())))
        now = await seen(dora, made)
        (first,) = previews(now)
        other = {**now, "content": [{"attachment": inline(image(100, 300), "image/png")}, now["content"][1]]}
        await dora.put(other)
        await dora.until(f"DocumentReference?_id={made['id']}", lambda found: first not in previews(found[0]))
        (second,) = previews(await seen(dora, made))
        assert (await shown(dora, second["url"])).size == (85, 256)
        await until_gone(dora, first["url"])
        await ada.ask("DELETE", f"DocumentReference/{made['id']}", expect=204)
        await until_gone(dora, second["url"])


async def clear_texts(clinic: Clinic, key: str) -> int:
    """How many versions of a resource the database has in clear."""
    async with AsyncMongoClient(clinic.settings.mongodb_uri) as client:
        versions = client[f"{clinic.settings.database}_fhir"]["version"]
        return int(await versions.count_documents({"r": key, "j": {"$exists": True}}))


async def until_gone(actor: Actor, url: str) -> None:
    """A Binary cannot be searched for: it is asked for until the server has removed it."""
    async with asyncio.timeout(SECONDS):
        while (await actor.http.get(url)).status_code not in (404, 410):
            await asyncio.sleep(0.05)


async def test_another_ones_image_is_not_shown(clinic: Clinic) -> None:
    """Nobody learns, by a document of their own, what is in a Binary that is another patient's."""
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick:
        patient, path = await opened(clinic, dora)
        _, other = await opened(clinic, dora)
        theirs = await upload(dora, image(), other)
        mine = await upload(dora, image(), path)
        files = [{"contentType": "image/png", "url": theirs}, {"contentType": "image/png", "url": mine}]
        made = await nick.post("DocumentReference", document(patient, path, *files))
        now = await seen(dora, made)  # the second has one, the first has none
        assert len(previews(now)) == 1


async def test_nobody_has_the_server_remove_what_is_anothers(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        patient, path = await opened(clinic, dora)
        theirs = await upload(dora, image(), path)
        made = await dora.post("DocumentReference", document(patient, path, inline(image())))
        now = await seen(dora, made)
        fake = {**now["content"][1], "attachment": {"contentType": "image/png", "url": theirs}}
        forged = await dora.put({**now, "content": [now["content"][0], fake]})
        real = (await seen(dora, made, 2))["content"]
        assert fake in real
        await dora.put({**forged, "content": [{"attachment": inline(image(10, 10))}]})
        await seen(dora, made)
        assert (await shown(dora, theirs)).size == (800, 400)


async def test_what_has_no_preview_is_a_document_all_the_same(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        patient, path = await opened(clinic, dora)
        gone = {"contentType": "image/png", "url": "Binary/nowhere"}
        attachments = (inline(b"no image"), inline(image()[:100]), gone, inline(image()))
        made = await dora.post("DocumentReference", document(patient, path, *attachments))
        now = await seen(dora, made)
        assert now["meta"]["versionId"] == "2"
        assert len(now["content"]) == 5


async def test_a_document_without_room_for_a_preview_stops_no_other(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        patient, path = await opened(clinic, dora)
        full = document(patient, path, inline(image()), inline(b"x", "application/octet-stream"))
        left = clinic.settings.max_resource_bytes - len(encode(full)) - 150
        full["content"][1]["attachment"]["data"] = base64.b64encode(bytes(left // 4 * 3)).decode()
        made = await dora.post("DocumentReference", full)
        other = await dora.post("DocumentReference", document(patient, path, inline(image())))
        await seen(dora, other)  # changes are followed in order
        assert previews(await dora.get(f"DocumentReference/{made['id']}")) == []


async def test_the_preview_of_what_is_sensitive_is_so_too(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora, clinic.acting("nick") as nick:
        patient, path = await opened(clinic, dora)
        meta = {"meta": {"security": [SENSITIVE]}}
        made = await dora.post("DocumentReference", document(patient, path, inline(image()), **meta))
        (preview,) = previews(await seen(dora, made))
        assert (await shown(dora, preview["url"])).size == (256, 128)
        assert await clear_texts(clinic, preview["url"]) == 0
        await nick.get(preview["url"], expect=404)


async def test_a_document_becomes_sensitive(clinic: Clinic) -> None:
    async with clinic.acting("dora") as dora:
        patient, path = await opened(clinic, dora)
        made = await dora.post("DocumentReference", document(patient, path, inline(image())))
        now = await seen(dora, made)
        (preview,) = previews(now)
        assert await clear_texts(clinic, preview["url"]) == 1
        changed = await dora.put({**now, "meta": {"security": [SENSITIVE]}})
        assert previews(changed) == []
        assert previews(await seen(dora, made)) == [preview]
        assert (await shown(dora, preview["url"])).size == (256, 128)
        assert await clear_texts(clinic, preview["url"]) == 0


@pytest.mark.parametrize(
    ("content", "size", "kind"),
    [
        (image(1000, 10), (256, 3), "image/jpeg"),
        (image(10, 10), (10, 10), "image/jpeg"),
        (image(512, 512, mode="RGBA"), (256, 256), "image/png"),
        (image(512, 256, "JPEG", "CMYK"), (256, 128), "image/jpeg"),
        (image(512, 256, "JPEG", "L"), (256, 128), "image/jpeg"),
        (image(512, 256, "PNG", "I;16"), (256, 128), "image/jpeg"),
        (image(512, 256, "WEBP"), (256, 128), "image/jpeg"),
        (image(512, 256, "GIF", "P"), (256, 128), "image/jpeg"),
    ],
)
def test_a_preview_is_small(content: bytes, size: tuple[int, int], kind: str) -> None:
    found = small(content)
    assert found is not None
    assert found.kind == kind
    with Image.open(BytesIO(found.content)) as picture:
        assert picture.size == size


def test_a_preview_is_upright_and_says_nothing_of_the_camera() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010F] = "Camera"
    found = small(image(512, 256, "JPEG", exif=exif))
    assert found is not None
    with Image.open(BytesIO(found.content)) as picture:
        assert picture.size == (128, 256)
        assert not picture.getexif()


def test_sixteen_bits_of_grey_are_seen() -> None:
    """A radiograph is neither white nor black in its preview."""
    out = BytesIO()
    Image.new("I;16", (64, 64), 30_000).save(out, "PNG")
    found = small(out.getvalue())
    assert found is not None
    with Image.open(BytesIO(found.content)) as picture:
        (grey, _) = picture.convert("L").getextrema()
        assert abs(grey - 30_000 // 256) < 4


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", image(form="BMP"), image(form="TIFF"), image()[:60]],
    ids=["empty", "cut gif", "svg", "bmp", "tiff", "cut png"],
)
def test_what_cannot_be_read_has_none(content: bytes) -> None:
    assert small(content) is None


def test_a_bomb_has_none() -> None:
    side = int(MOST**0.5) + 1
    assert small(image(side, side, mode="1")) is None
