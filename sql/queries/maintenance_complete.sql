-- The end of a maintenance job: $3 what was done, in words, $4 as JSON.
UPDATE processing_jobs
SET status = 'completed', completed_at = now(), pool_id = NULL, progress = 100, progress_message = $3,
    progress_at = now(), result = $4::jsonb,
    actual_duration = extract(epoch FROM now() - started_at)::bigint
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
