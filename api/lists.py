"""Lists that many clients poll, kept as bytes until something in their workspace is written."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson

from api.http import ApiResponse, RequestContext

KEPT = 512
_answers: OrderedDict[tuple[int, str, str, str], tuple[tuple[int, int], ApiResponse[Any]]] = OrderedDict()
T = TypeVar("T")


async def remembered(
    call: RequestContext, name: str, build: Callable[[], Awaitable[ApiResponse[T]]], *, outside: bool = False
) -> ApiResponse[T]:
    """The answer of `build`, or the kept one if nothing in the workspace was written since.

    With `outside` it is built anew after any change of the file, also by somebody who is not this process.

    Only where this process alone writes to the store, which is so on SQLite; elsewhere it always
    builds. The count of writes is read before the data, so a kept answer is never older than it.
    """
    services = call.services
    workspace_id = call.actor.in_workspace
    sqlite = services.store.sqlite
    if sqlite is None:
        return await build()
    key = (id(services.bus), workspace_id, name, call.request.query_string)
    generation = (services.bus.generation(workspace_id), sqlite.file_version() if outside else 0)
    kept = _answers.get(key)
    if kept is not None and kept[0] == generation:
        return kept[1]
    built = await build()
    answer: ApiResponse[T] = ApiResponse(body=orjson.dumps(built.body), status=built.status, headers=built.headers)
    _answers[key] = (generation, answer)
    if len(_answers) > KEPT:
        _answers.popitem(last=False)
    return answer
