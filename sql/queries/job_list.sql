-- A page of the list, newest first, below id $6 (null: from the newest), $7 skipped, $8 at most. Of the
-- types $2: $1 all jobs, or those in states $3 that are no files of batches, and files in states $4 of
-- batch $5 or of all. Each source is an index in the order of the list, a row is fetched only to be
-- shown, and one plan serves all filters. The columns are those of job_get.sql.
SELECT job_id, task_type, priority, status, date_part('epoch', created_at), date_part('epoch', started_at),
       date_part('epoch', completed_at), progress, progress_message, error_message, error_code, retry_count,
       max_retries, CASE WHEN status = 'retrying' THEN date_part('epoch', ready_at) END, worker_id,
       actual_duration, document_id, document_name, parent_job_id, pages_done, pages_total,
       result, claim_epoch, date_part('epoch', progress_at), id
FROM processing_jobs
WHERE id = ANY (ARRAY(
    SELECT id FROM (
        (SELECT id FROM processing_jobs
         WHERE $1::boolean AND task_type = ANY ($2::text[]) AND id < coalesce($6::bigint, 9223372036854775807)
         ORDER BY id DESC LIMIT $7::bigint + $8::bigint)
        UNION ALL
        SELECT j.id FROM unnest($2::text[]) AS t (task_type), unnest($3::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS j
            WHERE parent_job_id IS NULL AND j.task_type = t.task_type AND j.status = s.status
              AND id < coalesce($6::bigint, 9223372036854775807)
            ORDER BY id DESC LIMIT $7::bigint + $8::bigint) AS j
        UNION ALL
        SELECT f.id FROM unnest($4::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS f
            WHERE parent_job_id = $5::uuid AND f.status = s.status
              AND id < coalesce($6::bigint, 9223372036854775807)
            ORDER BY id DESC LIMIT $7::bigint + $8::bigint) AS f
        UNION ALL
        SELECT f.id FROM unnest($4::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS f
            WHERE $5::uuid IS NULL AND parent_job_id IS NOT NULL AND f.status = s.status
              AND id < coalesce($6::bigint, 9223372036854775807)
            ORDER BY id DESC LIMIT $7::bigint + $8::bigint) AS f) AS found
    ORDER BY id DESC OFFSET $7::bigint LIMIT $8::bigint))
ORDER BY id DESC
