-- Some jobs with everything. The columns are those of job_get.sql. Not "= ANY ($1)": what that costs is
-- guessed from the array's length, so the planner would keep planning anew, which takes three times as
-- long as reading a row. Here any array looks alike and the plan is kept.
SELECT job.*
FROM unnest((SELECT $1::uuid[])) AS wanted (job_id)
CROSS JOIN LATERAL (
    SELECT job_id, task_type, priority, status, date_part('epoch', created_at), date_part('epoch', started_at),
           date_part('epoch', completed_at), progress, progress_message, error_message, error_code, retry_count,
           max_retries, CASE WHEN status = 'retrying' THEN date_part('epoch', ready_at) END, worker_id,
           actual_duration, document_id, document_name, parent_job_id, pages_done, pages_total,
           result, claim_epoch, date_part('epoch', progress_at), id
    FROM processing_jobs WHERE processing_jobs.job_id = wanted.job_id LIMIT 1) AS job
