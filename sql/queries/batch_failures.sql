-- The first failed files of a batch in the order they were listed, with why. The ORDER BY is an index's own.
SELECT payload->>'file_path', error_code, error_message, job_id FROM processing_jobs
WHERE parent_job_id = $1::uuid AND status = 'failed' ORDER BY parent_job_id, status, id LIMIT $2::int
