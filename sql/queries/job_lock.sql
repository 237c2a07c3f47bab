-- The fence of the finishing transaction.
SELECT 1 FROM processing_jobs
WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing' FOR UPDATE
