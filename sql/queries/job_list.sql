-- A page of the list, newest first; $1 status, $2 task type, $3 parent, $4 children too, $5 below this id,
-- $6 offset, $7 limit. Planned for its arguments each time (db_run_planned). The rows are chosen in an
-- index, so what OFFSET skips is never fetched. The columns are those of job_get.sql.
SELECT job_id, task_type, priority, status, date_part('epoch', created_at), date_part('epoch', started_at),
       date_part('epoch', completed_at), progress, progress_message, error_message, error_code, retry_count,
       max_retries, CASE WHEN status = 'retrying' THEN date_part('epoch', ready_at) END, worker_id,
       actual_duration, document_id, document_name, parent_job_id, pages_done, pages_total,
       result, claim_epoch, date_part('epoch', progress_at), id
FROM processing_jobs
WHERE id IN (
    SELECT id FROM processing_jobs
    WHERE ($1::text IS NULL OR status = $1)
      AND ($2::text IS NULL AND task_type <> 'maintenance' OR task_type = $2)
      AND ($3::uuid IS NULL OR parent_job_id = $3)
      AND ($3::uuid IS NOT NULL OR $4::boolean OR parent_job_id IS NULL)
      AND ($5::bigint IS NULL OR id < $5)
    ORDER BY id DESC OFFSET $6::bigint LIMIT $7::bigint)
ORDER BY id DESC
