-- How the files of a batch ended. Skipped: their bytes were a document already.
SELECT count(*), count(*) FILTER (WHERE status = 'completed' AND result->>'duplicate_of' IS NULL),
       count(*) FILTER (WHERE status = 'failed'),
       count(*) FILTER (WHERE status = 'completed' AND result->>'duplicate_of' IS NOT NULL),
       count(*) FILTER (WHERE status = 'cancelled'),
       count(*) FILTER (WHERE status IN ('completed', 'failed', 'cancelled'))
FROM processing_jobs WHERE parent_job_id = $1::uuid
