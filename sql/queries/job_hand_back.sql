-- Back to the queue, no retry spent.
UPDATE processing_jobs
SET status = 'pending', pool_id = NULL, ready_at = now(), progress_at = now(),
    progress_message = 'Waiting for a worker'
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
RETURNING priority, floor(extract(epoch FROM ready_at) * 1000)::bigint
