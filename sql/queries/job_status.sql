-- The state alone.
SELECT status FROM processing_jobs WHERE job_id = $1::uuid
