-- The last 30 days that have a row, with what was not added to theirs yet.
WITH fresh AS (
    SELECT day AS date, sum(jobs) AS total_jobs,
           coalesce(sum(jobs) FILTER (WHERE status = 'completed'), 0) AS completed_jobs,
           coalesce(sum(jobs) FILTER (WHERE status = 'failed'), 0) AS failed_jobs,
           coalesce(sum(jobs) FILTER (WHERE status = 'cancelled'), 0) AS cancelled_jobs,
           sum(seconds) AS seconds, sum(pages) AS pages
    FROM job_ends GROUP BY day)
SELECT date, sum(total_jobs), sum(completed_jobs), sum(failed_jobs), sum(cancelled_jobs),
       sum(seconds) / greatest(sum(completed_jobs), 1)::float8, sum(pages)
FROM (SELECT * FROM fresh
      UNION ALL
      SELECT * FROM (SELECT date, total_jobs, completed_jobs, failed_jobs, cancelled_jobs,
                            avg_processing_time * completed_jobs, pages
                     FROM job_statistics ORDER BY date DESC LIMIT 30) AS stored) AS days
GROUP BY date ORDER BY date DESC LIMIT 30
