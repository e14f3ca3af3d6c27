"""The peer of `dev bench serving`: /v1/embeddings by FastAPI over ONNX Runtime, as a careful user would write it (environment `rivals`).

Requests that wait are computed together, sorted into one padded batch, on one thread that hands them to ONNX Runtime's own; the event loop stays free.

    bench/fastapi_server.py MODELS/minilm PORT THREADS
"""

import asyncio
import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import tokenizers
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

MAX_BATCH = 32


class Embedder:
    def __init__(self, folder, threads):
        self.tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/model/tokenizer.json")
        self.tokenizer.no_truncation()
        self.tokenizer.enable_padding(pad_token="[PAD]")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(f"{folder}/fused.onnx", options, providers=["CPUExecutionProvider"])

    def __call__(self, texts):
        """Vectors of length 1, and the tokens of each text."""
        encodings = self.tokenizer.encode_batch_fast(texts)
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        hidden = self.session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})[0]
        weights = mask[:, :, None].astype(np.float32)
        means = (hidden * weights).sum(1) / weights.sum(1)
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).tolist(), mask.sum(1).tolist()


class Batcher:
    """Computes what waits, up to MAX_BATCH texts at once."""

    def __init__(self, embed):
        self.embed, self.queue, self.executor = embed, asyncio.Queue(), ThreadPoolExecutor(1)

    async def submit(self, text):
        future = asyncio.get_running_loop().create_future()
        await self.queue.put((text, future))
        return await future

    async def run(self):
        loop = asyncio.get_running_loop()
        while True:
            waiting = [await self.queue.get()]
            while len(waiting) < MAX_BATCH and not self.queue.empty():
                waiting.append(self.queue.get_nowait())
            try:
                vectors, lengths = await loop.run_in_executor(self.executor, self.embed, [text for text, _ in waiting])
                for (_, future), vector, length in zip(waiting, vectors, lengths):
                    future.set_result((vector, length))
            except Exception as error:
                for _, future in waiting:
                    future.set_exception(error)


class Request(BaseModel):
    input: str | list[str]
    model: str = ""


def make_app(folder, threads):
    batcher = Batcher(Embedder(folder, threads))

    @contextlib.asynccontextmanager
    async def lifespan(app):
        task = asyncio.create_task(batcher.run())
        yield
        task.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health():
        return JSONResponse({"status": "ok"})

    @app.post("/v1/embeddings")
    async def embeddings(request: Request):
        texts = [request.input] if isinstance(request.input, str) else request.input
        answers = await asyncio.gather(*map(batcher.submit, texts))
        tokens = sum(length for _, length in answers)
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, (vector, _) in enumerate(answers)]
        return JSONResponse({"object": "list", "data": data, "model": request.model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[1], int(sys.argv[3])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
