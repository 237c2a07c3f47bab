-- Locks a batch that has given its worker back; no row for one in any other state. A statement of its own:
-- the next one must see what the transaction that held the lock has committed.
SELECT claim_epoch FROM processing_jobs
WHERE job_id = $1::uuid AND task_type = 'directory_batch' AND status = 'processing' AND pool_id IS NULL
FOR NO KEY UPDATE
