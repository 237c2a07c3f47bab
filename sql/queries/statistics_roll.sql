-- Adds ended jobs that were not counted yet to the day they ended on: job $2, or a slice of $1 of all.
WITH picked AS MATERIALIZED (
    SELECT id FROM processing_jobs WHERE job_id = $2::uuid AND NOT counted AND completed_at IS NOT NULL
    UNION ALL
    SELECT id FROM (
        SELECT id FROM processing_jobs WHERE $2::uuid IS NULL AND NOT counted AND completed_at IS NOT NULL
        ORDER BY completed_at LIMIT $1::int FOR UPDATE SKIP LOCKED) AS slice),
ended AS (
    UPDATE processing_jobs SET counted = true
    WHERE id = ANY (ARRAY(SELECT id FROM picked)) AND NOT counted AND completed_at IS NOT NULL
    RETURNING completed_at, started_at, status,
              CASE WHEN task_type = 'directory_batch' THEN 0 ELSE pages_done END AS pages_done,
              parent_job_id IS NULL AND task_type <> 'maintenance' AS listed),
days AS (
    SELECT (completed_at AT TIME ZONE 'UTC')::date AS day, count(*)::int AS total,
           count(*) FILTER (WHERE status = 'completed')::int AS completed,
           count(*) FILTER (WHERE status = 'failed')::int AS failed,
           count(*) FILTER (WHERE status = 'cancelled')::int AS cancelled,
           coalesce(sum(extract(epoch FROM completed_at - started_at))
                    FILTER (WHERE status = 'completed'), 0)::float8 AS seconds,
           coalesce(sum(pages_done), 0)::int AS pages
    FROM ended WHERE listed GROUP BY 1),
stored AS (
    INSERT INTO job_statistics AS s (date, total_jobs, completed_jobs, failed_jobs, cancelled_jobs,
                                     avg_processing_time, pages)
    SELECT day, total, completed, failed, cancelled, seconds / greatest(completed, 1), pages FROM days
    ON CONFLICT (date) DO UPDATE SET
        avg_processing_time = (s.avg_processing_time * s.completed_jobs
                               + excluded.avg_processing_time * excluded.completed_jobs)
                              / greatest(s.completed_jobs + excluded.completed_jobs, 1),
        total_jobs = s.total_jobs + excluded.total_jobs,
        completed_jobs = s.completed_jobs + excluded.completed_jobs,
        failed_jobs = s.failed_jobs + excluded.failed_jobs,
        cancelled_jobs = s.cancelled_jobs + excluded.cancelled_jobs,
        pages = s.pages + excluded.pages)
SELECT count(*) FROM ended
