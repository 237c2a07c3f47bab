-- A manual retry: all attempts anew, the fence goes on counting.
UPDATE processing_jobs
SET status = 'pending', ready_at = now(), retry_count = 0, crash_count = 0, completed_at = NULL,
    started_at = NULL, actual_duration = NULL, progress = 0, pages_done = 0, result = NULL,
    error_code = NULL, error_message = NULL, worker_id = NULL,
    progress_message = 'Waiting for a worker', progress_at = now()
WHERE job_id = $1::uuid AND status IN ('failed', 'cancelled')
RETURNING priority, floor(extract(epoch FROM ready_at) * 1000)::bigint, claim_epoch, parent_job_id
