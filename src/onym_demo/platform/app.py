"""Plaza as one ASGI application: the contract, the pages, the demo's levers."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onym_demo.platform import contract, controls, openid, pages
from onym_demo.platform.contract import Plaza, answer
from onym_demo.platform.problem import Problem


def build(plaza: Plaza) -> Starlette:
    """The application over an open state."""
    application = Starlette(
        routes=[
            Route("/health", _health),
            *contract.ROUTES,
            *controls.ROUTES,
            *openid.ROUTES,
            *pages.ROUTES,
        ],
        exception_handlers={Problem: _problem, HTTPException: _nothing, Exception: _fault},
    )
    application.state.plaza = plaza
    return application


async def _health(_: Request) -> Response:
    return answer((200, '{"ok": true}'))


async def _problem(_: Request, problem: Exception) -> Response:
    if not isinstance(problem, Problem):
        raise problem
    told = answer((problem.status, problem.json()))
    if "retry_after" in problem.facts:
        told.headers["Retry-After"] = str(problem.facts["retry_after"])
    return told


async def _nothing(_: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    return answer((status, Problem(status, "not_found" if status == 404 else "malformed").json()))


async def _fault(_: Request, fault: Exception) -> Response:
    return answer((500, Problem(500, "fault", type(fault).__name__).json()))
