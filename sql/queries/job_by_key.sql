-- The job that used an idempotency key first.
SELECT job_id, content_hash, payload->>'file_path', document_name
FROM processing_jobs WHERE idempotency_key = $1
