"""HTTP answers of the bucket: pages of its listing, objects with ranges and conditions, S3's XML errors."""

import re
from xml.sax.saxutils import escape

from aiohttp import web

from klines_pipeline.simulator.bucket_listing import BUCKET, BadListingError, ListingQuery, list_objects
from klines_pipeline.simulator.clock import http_date
from klines_pipeline.simulator.keyspace import CHECKSUM
from klines_pipeline.simulator.venue import Venue
from klines_pipeline.simulator.workers import Workers

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_LONGEST_NUMBER = 18


def xml_error(
    status: int, code: str, message: str, *, detail: str = "", headers: dict[str, str] | None = None
) -> web.Response:
    """An error as S3 words it; `detail` is ready XML."""
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message>'
        f"{detail}<RequestId>0000000000000000</RequestId><HostId>embedded</HostId></Error>"
    )
    return web.Response(status=status, text=text, content_type="application/xml", headers=headers)


async def listing_answer(request: web.Request, venue: Venue, workers: Workers) -> web.Response:
    """GET on the bucket."""
    try:
        query = ListingQuery.parse(request.query)
    except BadListingError as error:
        detail = f"<ArgumentName>{escape(error.argument)}</ArgumentName>"
        return xml_error(400, "InvalidArgument", str(error), detail=detail)
    now = venue.clock.now()
    page = await workers.run(lambda: list_objects(venue.bucket, query, now=now, hidden=venue.faults.hides))
    return web.Response(text=page, content_type="application/xml", headers={"x-amz-bucket-region": "ap-northeast-1"})


async def object_answer(request: web.Request, key: str, venue: Venue, workers: Workers) -> web.Response:
    """GET or HEAD on a key."""
    bucket = venue.bucket
    if not bucket.exists(key, venue.clock.now()):
        detail = f"<Key>{escape(key)}</Key>"
        return xml_error(404, "NoSuchKey", "The specified key does not exist.", detail=detail)
    if not bucket.has_ready(key):
        await workers.run(lambda: (bucket.read(key), bucket.facts(key)))
    body, facts = bucket.read(key), bucket.facts(key)
    headers = {
        "ETag": f'"{facts.md5}"',
        "Last-Modified": http_date(bucket.last_modified(key)),
        "Accept-Ranges": "bytes",
        "Content-Type": "binary/octet-stream" if key.endswith(CHECKSUM) else "application/zip",
        "Server": "AmazonS3",
    }
    refused = _condition(request, headers)
    return refused or _ranged(request, body, headers)


def _condition(request: web.Request, headers: dict[str, str]) -> web.Response | None:
    matches = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-Match", "").split(",") if tag.strip()}
    if matches and not matches & {"*", headers["ETag"]}:
        return xml_error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
    unwanted = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
    if unwanted & {"*", headers["ETag"]}:
        return web.Response(status=304, headers={name: headers[name] for name in ("ETag", "Last-Modified")})
    return None


def _ranged(request: web.Request, body: bytes, headers: dict[str, str]) -> web.Response:
    """The whole body, the part asked for, or 416; a range S3 would not understand is ignored, as there."""
    found = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    first, last = found.groups() if found else ("", "")
    if (not first and not last) or max(len(first), len(last)) > _LONGEST_NUMBER:
        return web.Response(body=body, headers=headers)
    if first and last and int(last) < int(first):
        return web.Response(body=body, headers=headers)
    size = len(body)
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) if first and last else size - 1, size - 1)
    if start >= size or (not first and int(last) == 0):
        detail = f"<ActualObjectSize>{size}</ActualObjectSize>"
        refusal = {"Content-Range": f"bytes */{size}"}
        return xml_error(416, "InvalidRange", "The requested range is not satisfiable", detail=detail, headers=refusal)
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return web.Response(status=206, body=body[start : end + 1], headers=headers)


def key_of(path: str) -> str | None:
    """The key a decoded path names: `/data/...` or `/data.binance.vision/data/...`; "" is the bucket itself."""
    if path in {f"/{BUCKET}", f"/{BUCKET}/"}:
        return ""
    trimmed = path.removeprefix(f"/{BUCKET}")
    return trimmed[1:] if trimmed.startswith("/data/") or trimmed != path else None
