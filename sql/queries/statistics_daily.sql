-- The last 30 days that have a row, with the ended jobs that were not added to theirs yet.
WITH fresh AS (
    SELECT (completed_at AT TIME ZONE 'UTC')::date AS date, count(*) AS total_jobs,
           count(*) FILTER (WHERE status = 'completed') AS completed_jobs,
           count(*) FILTER (WHERE status = 'failed') AS failed_jobs,
           count(*) FILTER (WHERE status = 'cancelled') AS cancelled_jobs,
           coalesce(sum(extract(epoch FROM completed_at - started_at))
                    FILTER (WHERE status = 'completed'), 0)::float8 AS seconds,
           coalesce(sum(CASE WHEN task_type = 'directory_batch' THEN 0 ELSE pages_done END), 0) AS pages
    FROM processing_jobs
    WHERE NOT counted AND completed_at IS NOT NULL AND parent_job_id IS NULL AND task_type <> 'maintenance'
    GROUP BY 1)
SELECT date, sum(total_jobs), sum(completed_jobs), sum(failed_jobs), sum(cancelled_jobs),
       sum(seconds) / greatest(sum(completed_jobs), 1)::float8, sum(pages)
FROM (SELECT * FROM fresh
      UNION ALL
      SELECT * FROM (SELECT date, total_jobs, completed_jobs, failed_jobs, cancelled_jobs,
                            avg_processing_time * completed_jobs, pages
                     FROM job_statistics ORDER BY date DESC LIMIT 30) AS stored) AS days
GROUP BY date ORDER BY date DESC LIMIT 30
