-- A page of the list, newest first, below id $7 (null: from the newest), $8 skipped, $9 at most. Of the
-- types $3: $1 jobs that are no files of batches, $2 all jobs, or those in states $4, and files in states
-- $5 of batch $6 or of all. Each source is an index in the order of the list, a row is fetched only to be
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
         WHERE $1::boolean AND parent_job_id IS NULL AND task_type <> 'maintenance'
           AND task_type = ANY ($3::text[]) AND id < coalesce($7::bigint, 9223372036854775807)
         ORDER BY id DESC LIMIT $8::bigint + $9::bigint)
        UNION ALL
        (SELECT id FROM processing_jobs
         WHERE $2::boolean AND task_type = ANY ($3::text[]) AND id < coalesce($7::bigint, 9223372036854775807)
         ORDER BY id DESC LIMIT $8::bigint + $9::bigint)
        UNION ALL
        SELECT j.id FROM unnest($3::text[]) AS t (task_type), unnest($4::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS j
            WHERE parent_job_id IS NULL AND j.task_type = t.task_type AND j.status = s.status
              AND id < coalesce($7::bigint, 9223372036854775807)
            ORDER BY id DESC LIMIT $8::bigint + $9::bigint) AS j
        UNION ALL
        SELECT f.id FROM unnest($5::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS f
            WHERE parent_job_id = $6::uuid AND f.status = s.status
              AND id < coalesce($7::bigint, 9223372036854775807)
            ORDER BY id DESC LIMIT $8::bigint + $9::bigint) AS f
        UNION ALL
        SELECT f.id FROM unnest($5::text[]) AS s (status), LATERAL (
            SELECT id FROM processing_jobs AS f
            WHERE $6::uuid IS NULL AND parent_job_id IS NOT NULL AND f.status = s.status
              AND id < coalesce($7::bigint, 9223372036854775807)
            ORDER BY id DESC LIMIT $8::bigint + $9::bigint) AS f) AS found
    ORDER BY id DESC OFFSET $8::bigint LIMIT $9::bigint))
ORDER BY id DESC
