-- Jobs created in the last day by state, with the times of those that ended.
SELECT status, count(*),
       avg(extract(epoch FROM completed_at - started_at)) FILTER (WHERE completed_at IS NOT NULL),
       max(extract(epoch FROM completed_at - started_at)) FILTER (WHERE completed_at IS NOT NULL),
       min(extract(epoch FROM completed_at - started_at)) FILTER (WHERE completed_at IS NOT NULL)
FROM processing_jobs
WHERE created_at > now() - interval '1 day' AND parent_job_id IS NULL AND task_type <> 'maintenance'
GROUP BY status ORDER BY status
