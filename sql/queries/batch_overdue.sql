-- Batches that somebody forgot: nothing is left of them, or fewer files than $1 may run while others wait.
SELECT p.job_id FROM processing_jobs AS p,
     LATERAL (SELECT (SELECT true FROM processing_jobs AS c
                      WHERE c.parent_job_id = p.job_id AND c.status IN ('pending', 'retrying', 'processing')
                      ORDER BY c.ready_at, c.id LIMIT 1) AS unfinished,
                     (SELECT true FROM processing_jobs AS c
                      WHERE c.parent_job_id = p.job_id AND c.status = 'pending' AND c.ready_at >= 'infinity'
                      ORDER BY c.ready_at, c.id LIMIT 1) AS waiting,
                     (SELECT count(*) FROM (
                          SELECT 1 FROM processing_jobs AS c
                          WHERE c.parent_job_id = p.job_id AND c.ready_at <= now()
                            AND c.status IN ('pending', 'retrying', 'processing')
                          ORDER BY c.ready_at, c.id LIMIT $1::int) AS a) AS active) AS n
WHERE p.task_type = 'directory_batch' AND p.status = 'processing' AND p.pool_id IS NULL
  AND (n.unfinished IS NULL OR n.waiting AND n.active < $1::int)
ORDER BY p.job_id LIMIT 100
