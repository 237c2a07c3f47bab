-- Of finished maintenance the newest $1 stay.
DELETE FROM processing_jobs
WHERE completed_at IS NOT NULL AND id IN (
    SELECT id FROM processing_jobs WHERE task_type = 'maintenance' AND parent_job_id IS NULL
    ORDER BY id DESC OFFSET $1::int)
