-- Final at once. Returns the claim it took away, so that its worker is told.
UPDATE processing_jobs
SET status = 'cancelled', completed_at = now(), pool_id = NULL, sealed_password = NULL,
    progress_message = 'Cancelled', progress_at = now(),
    actual_duration = extract(epoch FROM now() - started_at)::bigint
WHERE job_id = $1::uuid AND status IN ('pending', 'retrying', 'processing')
RETURNING claim_epoch
