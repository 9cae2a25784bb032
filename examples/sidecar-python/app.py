"""A FastAPI service that knows nothing of Seaworthy."""

import asyncio
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse


@asynccontextmanager
async def lifespan(_app):
    print("model loaded", flush=True)
    yield
    print("model unloaded", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def root(request: Request):
    return {"client": request.client.host if request.client else None}


@app.post("/v1/predict")
async def predict(request: Request):
    numbers = (await request.json())["numbers"]
    await asyncio.sleep(1)
    return {"mean": sum(numbers) / len(numbers)}


@app.get("/metrics")
async def metrics():
    return PlainTextResponse("# HELP models_loaded Models in memory.\n# TYPE models_loaded gauge\nmodels_loaded 1\n")
