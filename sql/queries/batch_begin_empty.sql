-- A batch without files never needs a worker: in one transaction with its insert and its end.
UPDATE processing_jobs SET status = 'processing', started_at = now(), claim_epoch = claim_epoch + 1
WHERE job_id = $1::uuid AND task_type = 'directory_batch' AND status = 'pending'
RETURNING claim_epoch
