-- How many jobs the same filter matches, counting no further than $5. Planned for its
-- arguments each time (db_run_planned).
SELECT count(*) FROM (
    SELECT 1 FROM processing_jobs
    WHERE ($1::text IS NULL OR status = $1)
      AND ($2::text IS NULL AND task_type <> 'maintenance' OR task_type = $2)
      AND ($3::uuid IS NULL OR parent_job_id = $3)
      AND ($3::uuid IS NOT NULL OR $4::boolean OR parent_job_id IS NULL)
    LIMIT $5::bigint) AS matching
