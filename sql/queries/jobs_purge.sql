-- A slice of retention and cleanup: what ended at least $1 ms ago, has been counted, and of which no file of a
-- batch is unfinished. At most $2 jobs, $2 files of batches and $2 pages: a batch goes behind its files, a job
-- behind pages that no document has. Conditions are repeated in the DELETE, because a job may be tried again
-- meanwhile. Returns how many jobs and pages went, and the uploads among them that no document has.
WITH old AS MATERIALIZED (
    SELECT id, job_id, task_type FROM processing_jobs AS j
    WHERE completed_at <= now() - $1::bigint * interval '1 millisecond' AND completed_at IS NOT NULL
      AND parent_job_id IS NULL AND counted AND task_type <> 'maintenance'
      AND NOT EXISTS (SELECT 1 FROM processing_jobs AS f
                      WHERE f.parent_job_id = j.job_id AND f.status IN ('pending', 'retrying', 'processing'))
    ORDER BY completed_at LIMIT $2::int FOR UPDATE SKIP LOCKED),
files AS MATERIALIZED (
    SELECT f.id, f.job_id FROM old CROSS JOIN LATERAL (
        SELECT id, job_id FROM processing_jobs WHERE parent_job_id = old.job_id LIMIT $2::int) AS f
    WHERE old.task_type = 'directory_batch' LIMIT $2::int),
going AS MATERIALIZED (
    SELECT id, job_id FROM files
    UNION ALL
    SELECT id, job_id FROM old
    WHERE old.task_type <> 'directory_batch' OR (SELECT count(*) FROM files) < $2::int),
pages AS MATERIALIZED (
    SELECT p.place FROM going AS g CROSS JOIN LATERAL (
        SELECT ctid AS place FROM document_pages WHERE revision_id = g.job_id LIMIT $2::int) AS p
    WHERE NOT EXISTS (SELECT 1 FROM documents AS d WHERE d.revision_id = g.job_id) LIMIT $2::int),
gone_pages AS (
    DELETE FROM document_pages WHERE ctid = ANY (ARRAY(SELECT place FROM pages)) RETURNING 1),
gone AS (
    DELETE FROM processing_jobs
    WHERE id = ANY (ARRAY(SELECT id FROM going WHERE (SELECT count(*) FROM pages) < $2::int))
      AND completed_at IS NOT NULL
    RETURNING job_id, task_type, parent_job_id)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM gone_pages),
       array_to_string(ARRAY(
           SELECT job_id FROM gone
           WHERE parent_job_id IS NULL AND task_type = 'single_document'
             AND NOT EXISTS (
                 SELECT 1 FROM documents AS d
                 WHERE substring(d.file_path from '/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/[^/]*$')
                       = gone.job_id::text)), ',')
