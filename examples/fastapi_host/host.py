"""
A web application whose requests call plugins. The manager is open for as long as the application runs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from plugin import Count, Text, Words

from remora import Code, Manager, RemoraError, TryLater

STATUS = {Code.INVALID_ARGUMENT: 400, Code.NOT_FOUND: 404, Code.ALREADY_EXISTS: 409, Code.DEADLINE_EXCEEDED: 504}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with Manager.from_file("remora.toml") as manager:
        app.state.manager = manager
        app.state.words = manager.client("words", Words)
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/count")
async def count(text: Text) -> Count:
    words: Words = app.state.words
    return await words.count(text)


@app.get("/health")
async def health() -> dict[str, str]:
    manager: Manager = app.state.manager
    return {name: each.status for name, each in (await manager.health()).items()}


@app.exception_handler(RemoraError)
async def failed(request: Request, error: RemoraError) -> JSONResponse:
    """
    What the plugin refuses is the client's fault, what may work later is 503, or 504 where the time was too short.
    """
    status = STATUS.get(error.code, 503 if isinstance(error, TryLater) else 500)
    headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:.0f}"}
    return JSONResponse({"code": error.code, "message": error.message}, status, headers)
