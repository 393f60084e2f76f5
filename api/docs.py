"""The API described: the OpenAPI document, and a page to read it in, without scripts or anything from outside."""

import json
from html import escape
from typing import Any

from aiohttp import web

from api.http import json_response

OPENAPI = web.AppKey("openapi", dict)
CSP = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2733;--soft:#5c6b7a;--line:#d5dbe2;--back:#fff;--code:#f3f5f7;--link:#0b63b5}
@media(prefers-color-scheme:dark){:root{--ink:#eef2f6;--soft:#9fb0c0;--line:#35445a;--back:#17212b;--code:#232e3c;
--link:#6ab3f3}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:64rem;padding:1rem;color:var(--ink);
background:var(--back);overflow-wrap:anywhere}
a{color:var(--link)}a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}
h2{margin-top:2.5rem;text-transform:capitalize}h3{font-size:1rem;margin:1.2rem 0 .3rem}
nav a{margin-right:1rem;text-transform:capitalize}
details{border:1px solid var(--line);border-radius:8px;margin:.5rem 0}
summary{padding:.6rem .8rem;cursor:pointer}summary>span:last-child{color:var(--soft)}
pre{font:13px/1.45 ui-monospace,monospace;background:var(--code);border-radius:8px;padding:.6rem .8rem;
white-space:pre-wrap}
code{font:13px/1.45 ui-monospace,monospace;background:var(--code);border-radius:4px;padding:0 .25rem}
.m{display:inline-block;min-width:4.2rem;font-weight:700}.in{padding:0 1rem .8rem}
.about{white-space:pre-line}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .8rem .25rem 0;vertical-align:top;border-top:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}
"""


def render(document: dict[str, Any]) -> str:
    """The page: one fold for each operation, one for each form of data."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in by_tag)
    parts = "".join(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(items)}' for tag, items in by_tag.items())
    schemas = document["components"]["schemas"]
    forms = "".join(
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code> '
        f"<span>{escape(schema.get('description', ''))}</span></summary><div class=in>{_fields(schema)}</div></details>"
        for name, schema in schemas.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>Pilot API</title>'
        '<link rel="stylesheet" href="/api/docs.css"></head><body><main>'
        f"<h1>Pilot API {escape(document['info']['version'])}</h1>"
        '<p>As a document for programs: <a href="/api/openapi.json">openapi.json</a>.</p>'
        f'<p class="about">{_marked(document["info"]["description"])}</p><nav>{links}<a href="#forms">forms</a></nav>'
        f'{parts}<h2 id="forms">Forms</h2>{forms}</main></body></html>'
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    blocks = [f"<p>{_marked(operation['description'])}</p>"]
    if operation["parameters"]:
        rows = "".join(
            f"<tr><td><code>{escape(p['name'])}</code><td>{p['in']}<td>{'required' if p['required'] else ''}"
            f"<td>{_type(p['schema'])}<td>{_marked(p.get('description', ''))}"
            for p in operation["parameters"]
        )
        blocks.append(f"<h3>Parameters</h3><table>{rows}</table>")
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        example = json.dumps(content.get("example", {}), indent=2, ensure_ascii=False)
        blocks.append(f"<h3>Body</h3><p>{_type(content['schema'])}, for example:</p><pre>{escape(example)}</pre>")
    answers = "".join(
        f"<tr><td>{code}<td>{_marked(answer['description'])}<td>{_content(answer)}"
        for code, answer in operation["responses"].items()
    )
    blocks.append(f"<h3>Answers</h3><table>{answers}</table>")
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><span class="m">{method.upper()}</span> '
        f"<code>{escape(path)}</code> <span>{_marked(operation['summary'])}</span></summary>"
        f'<div class="in">{"".join(blocks)}</div></details>'
    )


def _content(answer: dict[str, Any]) -> str:
    content = answer.get("content", {"": {}})
    schema = next(iter(content.values())).get("schema")
    return _type(schema) if schema else escape(" or ".join(content))


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{'always' if name in required else 'maybe'}<td>{_type(field)}"
        f"<td>{escape(str(field.get('description', '')))}"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table>{rows}</table>" if rows else f"<p>{_type(schema)}</p>"


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, with links to the forms it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(f"<code>{escape(str(one))}</code>" for one in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minimum", "from"),
            ("maximum", "to"),
            ("minLength", "at least"),
            ("maxLength", "at most"),
            ("default", "default"),
        )
        if key in schema and schema[key] not in (None, "")
    ]
    words = str(schema.get("format", kind))
    return escape(f"{words} ({', '.join(limits)})" if limits else words)


def _marked(text: str) -> str:
    """Escaped text, what stands in backticks as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if n % 2 else piece for n, piece in enumerate(pieces))


def add_docs(app: web.Application, document: dict[str, Any]) -> None:
    """Serve document and page."""
    app[OPENAPI] = document
    page = render(document).encode()

    async def spec(_request: web.Request) -> web.Response:
        response = json_response(document)
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    async def docs(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": CSP}
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)

    async def style(_request: web.Request) -> web.Response:
        return web.Response(text=_STYLE, content_type="text/css")

    app.router.add_get("/api/openapi.json", spec, allow_head=False)
    app.router.add_get("/api/docs", docs, allow_head=False)
    app.router.add_get("/api/docs.css", style, allow_head=False)
