-- The first failed files of a batch, with why.
SELECT payload->>'file_path', error_code, error_message, job_id FROM processing_jobs
WHERE parent_job_id = $1::uuid AND status = 'failed' ORDER BY parent_path LIMIT $2::int
