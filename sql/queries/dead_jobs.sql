-- Frees the jobs of dead pools, no retry spent, and they keep their place in the lane; at the third crash the job
-- fails and is counted. A row that somebody has locked (its zombie is just finishing) is left to the next tick.
WITH freed AS (
UPDATE processing_jobs AS j
SET crash_count = j.crash_count + 1, pool_id = NULL, progress_at = now(),
    status = CASE WHEN j.crash_count >= 2 THEN 'failed' ELSE 'pending' END,
    completed_at = CASE WHEN j.crash_count >= 2 THEN now() END,
    actual_duration = CASE WHEN j.crash_count >= 2
                           THEN extract(epoch FROM now() - j.started_at)::bigint END,
    error_code = CASE WHEN j.crash_count >= 2 THEN 'WORKER_CRASHED' END,
    error_message = CASE WHEN j.crash_count >= 2 THEN 'crashed its worker 3 times' END,
    sealed_password = CASE WHEN j.crash_count >= 2 THEN NULL ELSE j.sealed_password END,
    progress_message = CASE WHEN j.crash_count >= 2 THEN 'Failed' ELSE 'Waiting for a worker' END
WHERE j.status = 'processing' AND j.id IN (
    SELECT l.id FROM held_jobs AS h JOIN processing_jobs AS l ON l.id = h.id
    WHERE l.status = 'processing' AND l.pool_id = h.pool_id
      AND NOT EXISTS (SELECT 1 FROM worker_pools AS p WHERE p.pool_id = h.pool_id AND p.dead_at IS NULL)
    FOR NO KEY UPDATE OF l SKIP LOCKED)
RETURNING j.job_id, j.claim_epoch, j.status, j.priority,
          floor(extract(epoch FROM j.ready_at) * 1000)::bigint, j.parent_job_id, j.task_type, j.pages_done),
counted AS (
    INSERT INTO job_ends (day, status, jobs, seconds, pages)
    SELECT (now() AT TIME ZONE 'UTC')::date, 'failed', count(*), 0,
           sum(CASE WHEN task_type = 'directory_batch' THEN 0 ELSE pages_done END)
    FROM freed WHERE status = 'failed' AND parent_job_id IS NULL AND task_type <> 'maintenance'
    HAVING count(*) > 0)
SELECT * FROM freed ORDER BY parent_job_id
