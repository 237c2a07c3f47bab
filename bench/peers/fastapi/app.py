# SPDX-License-Identifier: AGPL-3.0-or-later
"""app.py - the peer of bench/api.py: GET /api/v1/jobs/{job_id} as one writes it with FastAPI and asyncpg.

Every request reads the job's row; the answer is that of localrag-server. Run by uvicorn with uvloop and
httptools; nothing is tuned but the number of database connections, which is that of localrag-server.
"""
import contextlib
import datetime
import json
import os
import uuid

import asyncpg
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

QUERY = """
SELECT job_id, task_type, priority, status, created_at, started_at, completed_at, progress, progress_message,
       error_message, error_code, retry_count, max_retries, CASE WHEN status = 'retrying' THEN ready_at END
       AS next_attempt_at, worker_id, actual_duration, document_id, document_name, parent_job_id, pages_done,
       pages_total, result
FROM processing_jobs WHERE job_id = $1
"""


class Job(BaseModel):
    job_id: uuid.UUID
    task_type: str
    priority: str
    status: str
    created_at: datetime.datetime | None
    started_at: datetime.datetime | None
    completed_at: datetime.datetime | None
    progress: float
    progress_message: str
    error_message: str | None
    error_code: str | None
    retry_count: int
    max_retries: int
    next_attempt_at: datetime.datetime | None
    worker_id: str | None
    actual_duration: int | None
    document_id: uuid.UUID | None
    document_name: str | None
    parent_job_id: uuid.UUID | None
    pages_done: int
    pages_total: int
    result: dict | None


@contextlib.asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=8, max_size=8) as app.state.pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/api/v1/jobs/{job_id}")
async def get_job(job_id: uuid.UUID) -> Job:
    row = await app.state.pool.fetchrow(QUERY, job_id)
    if row is None:
        raise HTTPException(404, "job \"%s\" does not exist" % job_id)
    fields = dict(row)
    if fields["result"] is not None:
        fields["result"] = json.loads(fields["result"])
    return Job(**fields)
