"""The API described: the OpenAPI document, and a page to read it in, without anything from outside."""

import html
from typing import Any

from aiohttp import web

from api.http import json_response

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1d2733;background:#fff}
h2{margin-top:2.5rem;text-transform:capitalize}details{border:1px solid #d5dbe2;border-radius:8px;margin:.5rem 0}
summary{padding:.6rem .8rem;cursor:pointer}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#f3f5f7;padding:.6rem;overflow:auto;border-radius:6px}
.m{display:inline-block;min-width:4.2rem;font-weight:700}.in{padding:0 1rem .8rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#17212b;color:#f5f5f5}pre{background:#232e3c}
details{border-color:#35445a}a{color:#6ab3f3}}
"""


def render(document: dict[str, Any]) -> str:
    """The page: one fold for each operation."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    parts = "".join(f"<h2>{html.escape(tag)}</h2>{''.join(items)}" for tag, items in by_tag.items())
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Pilot API</title><link rel=stylesheet href=/api/docs.css><h1>Pilot API {document['info']['version']}"
        "</h1><p>As a document: <a href=/api/openapi.json>openapi.json</a>. Log in with <code>POST "
        "/api/auth/email/request</code> and <code>/verify</code>, or <code>/api/auth/telegram</code>; then send "
        f"<code>Authorization: Bearer ...</code> and <code>X-Workspace-Id</code>.</p>{parts}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(p['name'])}</code><td>{p['in']}<td>{'required' if p['required'] else ''}"
        for p in operation["parameters"]
    )
    answers = "".join(
        f"<tr><td>{code}<td>{html.escape(answer['description'])}" for code, answer in operation["responses"].items()
    )
    body = ""
    if "requestBody" in operation:
        reference = operation["requestBody"]["content"]["application/json"]["schema"].get("$ref", "")
        body = f"<p>Body: <code>{html.escape(reference.rpartition('/')[2])}</code></p>"
    return (
        f"<details><summary><span class=m>{method.upper()}</span> <code>{html.escape(path)}</code> "
        f"{html.escape(operation['summary'])}</summary><div class=in><p>{html.escape(operation['description'])}</p>"
        f"<table>{rows}</table>{body}<table>{answers}</table></div></details>"
    )


def add_docs(app: web.Application, document: dict[str, Any]) -> None:
    """Serve document and page."""
    page = render(document).encode()

    async def spec(_request: web.Request) -> web.Response:
        response = json_response(document)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    async def docs(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'"}
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)

    async def style(_request: web.Request) -> web.Response:
        return web.Response(text=_STYLE, content_type="text/css")

    app.router.add_get("/api/openapi.json", spec)
    app.router.add_get("/api/docs", docs)
    app.router.add_get("/api/docs.css", style)
