-- Back to its place in the lane, no retry spent. Maintenance has done a slice: it goes behind what waits, and its
-- crashes are past.
UPDATE processing_jobs
SET status = 'pending', pool_id = NULL, progress_at = now(),
    ready_at = CASE WHEN task_type = 'maintenance' THEN now() ELSE ready_at END,
    crash_count = CASE WHEN task_type = 'maintenance' THEN 0 ELSE crash_count END,
    progress_message = 'Waiting for a worker'
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
RETURNING priority, floor(extract(epoch FROM ready_at) * 1000)::bigint
