-- A slice of retention and cleanup: what ended at least $1 ms ago, and of which no file of a batch is
-- unfinished. At most $2 jobs, $2 files of batches and $2 pages: a batch goes behind its files, a job
-- behind pages that no document has. Conditions are repeated in the DELETE, because a job may be tried again
-- meanwhile. Returns how many jobs and pages went, and the uploads among them that no document has. Arrays and
-- subqueries, not joins: what is read must not depend on how many rows the planner expects.
WITH old AS MATERIALIZED (
    SELECT id, job_id, task_type, document_id FROM processing_jobs AS j
    WHERE completed_at <= now() - $1::bigint * interval '1 millisecond' AND completed_at IS NOT NULL
      AND parent_job_id IS NULL AND task_type <> 'maintenance'
      AND (task_type <> 'directory_batch' OR (
          SELECT f.id FROM processing_jobs AS f
          WHERE f.parent_job_id = j.job_id AND f.status IN ('pending', 'retrying', 'processing')
          ORDER BY f.ready_at, f.id LIMIT 1) IS NULL)
    ORDER BY completed_at LIMIT $2::int FOR UPDATE SKIP LOCKED),
files AS MATERIALIZED (
    SELECT f.id, f.job_id, f.document_id FROM old CROSS JOIN LATERAL (
        SELECT id, job_id, document_id FROM processing_jobs WHERE parent_job_id = old.job_id
        ORDER BY parent_job_id, parent_path LIMIT $2::int) AS f
    WHERE old.task_type = 'directory_batch' LIMIT $2::int),
going AS MATERIALIZED (
    SELECT id, job_id, document_id FROM files
    UNION ALL
    SELECT id, job_id, document_id FROM old
    WHERE task_type <> 'directory_batch' OR (SELECT count(*) FROM files) < $2::int),
unread AS MATERIALIZED (
    SELECT job_id FROM going
    WHERE (SELECT revision_id FROM documents AS d WHERE d.document_id = going.document_id)
          IS DISTINCT FROM job_id),
pages AS MATERIALIZED (
    SELECT p.place FROM unread AS u CROSS JOIN LATERAL (
        SELECT ctid AS place FROM document_pages WHERE revision_id = u.job_id
        ORDER BY revision_id, page LIMIT $2::int) AS p LIMIT $2::int),
gone_pages AS (
    DELETE FROM document_pages WHERE ctid = ANY (ARRAY(SELECT place FROM pages)) RETURNING 1),
gone AS (
    DELETE FROM processing_jobs
    WHERE id = ANY (ARRAY(SELECT id FROM going WHERE (SELECT count(*) FROM pages) < $2::int))
      AND completed_at IS NOT NULL
    RETURNING job_id, task_type, parent_job_id, document_id)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM gone_pages),
       array_to_string(ARRAY(
           SELECT job_id FROM gone
           WHERE parent_job_id IS NULL AND task_type = 'single_document'
             AND (SELECT substring(d.file_path from '/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/[^/]*$')
                  FROM documents AS d WHERE d.document_id = gone.document_id)
                 IS DISTINCT FROM job_id::text), ',')
