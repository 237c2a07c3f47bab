-- Retention: finished jobs older than $1 ms, a slice; children only with their parent. Arrays, not
-- joins: what is read must not depend on how many rows the planner expects.
WITH gone AS (
    DELETE FROM processing_jobs
    WHERE id = ANY (ARRAY(SELECT id FROM processing_jobs
                          WHERE completed_at < now() - $1::bigint * interval '1 millisecond' AND counted
                            AND parent_job_id IS NULL
                          ORDER BY completed_at LIMIT $2::int))
    RETURNING job_id, document_id),
children AS (
    DELETE FROM processing_jobs
    WHERE id = ANY (ARRAY(SELECT c.id FROM gone CROSS JOIN LATERAL (
                              SELECT id FROM processing_jobs WHERE parent_job_id = gone.job_id
                              ORDER BY parent_job_id, id LIMIT 1000000) AS c))
    RETURNING job_id, document_id),
orphans AS (
    DELETE FROM document_pages
    WHERE revision_id = ANY (ARRAY(
        SELECT job_id FROM (SELECT * FROM gone UNION ALL SELECT * FROM children) AS g
        WHERE NOT EXISTS (SELECT 1 FROM documents AS d
                          WHERE d.document_id = g.document_id AND d.revision_id = g.job_id))))
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM children)
