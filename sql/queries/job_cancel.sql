-- Final at once, and counted. Returns the claim it took away, so that its worker is told.
WITH ended AS (
    UPDATE processing_jobs
    SET status = 'cancelled', completed_at = now(), pool_id = NULL, sealed_password = NULL,
        progress_message = 'Cancelled', progress_at = now(),
        actual_duration = extract(epoch FROM now() - started_at)::bigint
    WHERE job_id = $1::uuid AND status IN ('pending', 'retrying', 'processing')
    RETURNING claim_epoch, task_type, parent_job_id, completed_at, pages_done),
counted AS (
    INSERT INTO job_ends (day, status, jobs, seconds, pages)
    SELECT (completed_at AT TIME ZONE 'UTC')::date, 'cancelled', 1, 0,
           CASE WHEN task_type = 'directory_batch' THEN 0 ELSE pages_done END
    FROM ended WHERE parent_job_id IS NULL AND task_type <> 'maintenance')
SELECT claim_epoch FROM ended
