-- Ends an attempt, and counts the job if it was the last one. $3 code, $4 message, $5 retryable, $6 delay in ms
-- if there is an attempt left.
WITH ended AS (
    UPDATE processing_jobs
    SET status = CASE WHEN $5::boolean AND retry_count < max_retries THEN 'retrying' ELSE 'failed' END,
        retry_count = retry_count + CASE WHEN $5::boolean AND retry_count < max_retries THEN 1 ELSE 0 END,
        ready_at = now() + $6::bigint * interval '1 millisecond',
        completed_at = CASE WHEN $5::boolean AND retry_count < max_retries THEN NULL ELSE now() END,
        actual_duration = CASE WHEN $5::boolean AND retry_count < max_retries THEN NULL
                               ELSE extract(epoch FROM now() - started_at)::bigint END,
        sealed_password = CASE WHEN $5::boolean AND retry_count < max_retries THEN sealed_password END,
        error_code = $3, error_message = $4, pool_id = NULL, progress_at = now(),
        progress_message = CASE WHEN $5::boolean AND retry_count < max_retries
                                THEN 'Waiting for the next attempt' ELSE 'Failed' END
    WHERE job_id = $1::uuid AND claim_epoch = $2::bigint AND status = 'processing'
    RETURNING status, task_type, parent_job_id, completed_at, pages_done),
counted AS (
    INSERT INTO job_ends (day, status, jobs, seconds, pages)
    SELECT (completed_at AT TIME ZONE 'UTC')::date, status, 1, 0,
           CASE WHEN task_type = 'directory_batch' THEN 0 ELSE pages_done END
    FROM ended WHERE completed_at IS NOT NULL AND parent_job_id IS NULL AND task_type <> 'maintenance')
SELECT status FROM ended
