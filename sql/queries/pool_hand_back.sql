-- All jobs of a pool that ends cleanly.
UPDATE processing_jobs
SET status = 'pending', pool_id = NULL, ready_at = now(), progress_at = now(),
    progress_message = 'Waiting for a worker'
WHERE pool_id = $1::uuid AND status = 'processing'
