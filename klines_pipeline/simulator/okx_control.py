"""`/control/okx`: GET tells the settings of the make-believe OKX, POST changes those given. Not counted, no faults."""

import json

from aiohttp import web

from klines_pipeline.simulator.okx_venue import OkxVenue

OKX_CONTROL = "/control/okx"


async def okx_control_answer(request: web.Request, okx: OkxVenue) -> web.Response:
    """Answer one control request; wrong input is answered 400 with a sentence in `error`."""
    if request.method not in {"GET", "POST"}:
        return web.json_response({"error": f"{request.method} {OKX_CONTROL} is no control request."}, status=404)
    try:
        if request.method == "POST":
            okx.configure(**json.loads(await request.read()))
    except (ValueError, TypeError, AttributeError) as error:
        return web.json_response({"error": str(error)}, status=400)
    return web.json_response(okx.settings())
