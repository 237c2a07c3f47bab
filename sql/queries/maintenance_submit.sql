-- Submits the maintenance that is due and has something to do, one of a kind at a time, once however many ask:
-- the row of the kind is the lock. $1 retention in ms, $2 attempts.
WITH due AS (
    UPDATE maintenance AS m SET submitted_at = now(), job_id = gen_random_uuid()
    WHERE m.submitted_at <= now() - m.every
      AND (SELECT 1 FROM processing_jobs AS j WHERE j.job_id = m.job_id AND j.completed_at IS NULL) IS NULL
      AND CASE m.kind
          WHEN 'statistics' THEN
              EXISTS (SELECT FROM job_ends)
          WHEN 'retention' THEN
              (SELECT completed_at FROM processing_jobs
               WHERE completed_at IS NOT NULL AND parent_job_id IS NULL AND task_type <> 'maintenance'
               ORDER BY completed_at LIMIT 1) <= now() - $1::bigint * interval '1 millisecond'
          ELSE true END
    RETURNING m.kind, m.name, m.job_id)
INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, document_name)
SELECT job_id, 'maintenance', 'low', jsonb_build_object('kind', kind), $2::int, name FROM due
RETURNING job_id, floor(extract(epoch FROM ready_at) * 1000)::bigint
