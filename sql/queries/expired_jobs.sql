-- Retention: finished jobs older than $1 ms, a slice; children only with their parent.
WITH gone AS (
    DELETE FROM processing_jobs
    WHERE id IN (SELECT id FROM processing_jobs
                 WHERE completed_at < now() - $1::bigint * interval '1 millisecond' AND counted
                   AND parent_job_id IS NULL
                 ORDER BY completed_at LIMIT $2::int)
    RETURNING job_id),
children AS (
    DELETE FROM processing_jobs AS c USING gone WHERE c.parent_job_id = gone.job_id RETURNING c.job_id),
orphans AS (
    DELETE FROM document_pages AS p USING (SELECT job_id FROM gone UNION ALL SELECT job_id FROM children) AS g
    WHERE p.revision_id = g.job_id
      AND NOT EXISTS (SELECT 1 FROM documents AS d WHERE d.revision_id = g.job_id))
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM children)
