-- Cancels up to $2 files of a batch that nobody released; never waits. A locked one is just being cancelled
-- by somebody else.
UPDATE processing_jobs
SET status = 'cancelled', completed_at = now(), progress_message = 'Cancelled', progress_at = now()
WHERE status = 'pending' AND id IN (
    SELECT id FROM processing_jobs
    WHERE parent_job_id = $1::uuid AND status = 'pending' AND ready_at >= 'infinity'
    ORDER BY ready_at, id LIMIT $2::bigint
    FOR NO KEY UPDATE SKIP LOCKED)
