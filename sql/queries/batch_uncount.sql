-- A file of a running batch is tried again by hand: one less has ended.
UPDATE processing_jobs SET pages_done = greatest(pages_done - 1, 0)
WHERE job_id = $1::uuid AND task_type = 'directory_batch' AND status = 'processing' AND pool_id IS NULL
