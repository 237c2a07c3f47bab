-- Jobs that end well, each under its own fence, and what statistics need of them in one row. What does not come
-- back was lost.
WITH ended AS (
    UPDATE processing_jobs AS j
    SET status = 'completed', completed_at = now(), pool_id = NULL, sealed_password = NULL, progress = 100,
        progress_message = f.message, progress_at = now(), result = f.result::jsonb,
        document_id = f.document_id, pages_done = f.pages, pages_total = f.pages,
        actual_duration = date_part('epoch', now() - j.started_at)::bigint
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::int[])
         AS f (job_id, epoch, message, result, document_id, pages)
    WHERE j.job_id = f.job_id AND j.claim_epoch = f.epoch AND j.status = 'processing'
    RETURNING j.job_id, j.parent_job_id, j.started_at, j.pages_done),
counted AS (
    INSERT INTO job_ends (day, status, jobs, seconds, pages)
    SELECT (now() AT TIME ZONE 'UTC')::date, 'completed', count(*),
           coalesce(sum(date_part('epoch', now() - started_at)), 0), sum(pages_done)
    FROM ended WHERE parent_job_id IS NULL HAVING count(*) > 0)
SELECT job_id FROM ended
