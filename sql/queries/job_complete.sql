-- The end of the finishing transaction.
UPDATE processing_jobs
SET status = 'completed', completed_at = now(), pool_id = NULL, sealed_password = NULL, progress = 100,
    progress_message = $3, progress_at = now(), result = $4::jsonb, document_id = $5::uuid,
    pages_done = $6::int, pages_total = $6::int,
    actual_duration = extract(epoch FROM now() - started_at)::bigint
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
