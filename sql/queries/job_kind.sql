-- What decides how a job is cancelled.
SELECT task_type, parent_job_id, job_id FROM processing_jobs WHERE job_id = $1::uuid
