-- A new job. No row comes back when the idempotency key is taken.
INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, document_name,
                             content_hash, idempotency_key, sealed_password)
VALUES ($1::uuid, $2, $3, $4::jsonb, $5::int, $6, $7, $8, $9::bytea)
ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING floor(extract(epoch FROM ready_at) * 1000)::bigint
