-- The end of a batch that has no unfinished file, and counted. $2 message, $3 result, $4 files.
WITH ended AS (
    UPDATE processing_jobs
    SET status = 'completed', completed_at = clock_timestamp(), progress = 100, progress_message = $2,
        progress_at = clock_timestamp(), result = $3::jsonb, pages_done = $4::int, pages_total = $4::int,
        actual_duration = extract(epoch FROM clock_timestamp() - started_at)::bigint
    WHERE job_id = $1::uuid AND task_type = 'directory_batch' AND status = 'processing' AND pool_id IS NULL
    RETURNING started_at, completed_at),
counted AS (
    INSERT INTO job_ends (day, status, jobs, seconds, pages)
    SELECT (completed_at AT TIME ZONE 'UTC')::date, 'completed', 1,
           coalesce(date_part('epoch', completed_at - started_at), 0), 0
    FROM ended)
SELECT 1 FROM ended
