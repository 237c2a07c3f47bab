-- Ended jobs are counted by the statement that ends them, in a row it adds to job_ends, not by a mark that a later
-- update of each job sets: that wrote every index of every job once more, and while a snapshot was held each look
-- at the index of unmarked jobs read all those that were marked since.

-- Added up to job_statistics by maintenance, which removes what it added. Files of batches and maintenance do not
-- count. No index: all of it is read, and there is little.
CREATE TABLE job_ends (
    day date NOT NULL,
    status text NOT NULL CHECK (status IN ('completed', 'failed', 'cancelled')),
    jobs integer NOT NULL,
    seconds double precision NOT NULL,
    pages bigint NOT NULL
) WITH (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_limit = 2000);

-- Whoever ends a job now waits, so that it is counted here or not at all. What a worker of an older version ends
-- between this and its own end is missing in job_statistics, in nothing else.
LOCK TABLE processing_jobs IN ACCESS EXCLUSIVE MODE;
INSERT INTO job_ends (day, status, jobs, seconds, pages)
SELECT (completed_at AT TIME ZONE 'UTC')::date, status, count(*),
       coalesce(sum(date_part('epoch', completed_at - started_at)) FILTER (WHERE status = 'completed'), 0),
       sum(CASE WHEN task_type = 'directory_batch' THEN 0 ELSE pages_done END)
FROM processing_jobs
WHERE NOT counted AND completed_at IS NOT NULL AND parent_job_id IS NULL AND task_type <> 'maintenance'
GROUP BY 1, 2;
ALTER TABLE processing_jobs DROP COLUMN counted;
