-- Adds up to $1 rows of job_ends to the days they are of, and removes them. Returns how many rows, and how many
-- jobs those were.
WITH ends AS (
    DELETE FROM job_ends
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM job_ends LIMIT $1::int FOR UPDATE SKIP LOCKED))
    RETURNING day, status, jobs, seconds, pages),
days AS (
    SELECT day, sum(jobs)::int AS total,
           coalesce(sum(jobs) FILTER (WHERE status = 'completed'), 0)::int AS completed,
           coalesce(sum(jobs) FILTER (WHERE status = 'failed'), 0)::int AS failed,
           coalesce(sum(jobs) FILTER (WHERE status = 'cancelled'), 0)::int AS cancelled,
           sum(seconds) AS seconds, sum(pages)::int AS pages
    FROM ends GROUP BY day),
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
SELECT count(*), coalesce(sum(jobs), 0) FROM ends
