-- Two indexes less. Every move of a job writes all its indexes, and of all that a move costs PostgreSQL each is a
-- tenth. The whole list is put together from pieces by type and state like any other, and what a pool holds is found
-- among all that runs, which is never more than there are workers.

DROP INDEX processing_jobs_newest, processing_jobs_held;

-- What runs: each branch in an index of its own.
CREATE VIEW held_jobs AS
SELECT id, job_id, status, claim_epoch, progress_at, pool_id FROM processing_jobs
WHERE parent_job_id IS NULL AND status = 'processing' AND pool_id IS NOT NULL
  AND task_type IN ('single_document', 'directory_batch', 'document_reprocess', 'maintenance')
UNION ALL
SELECT id, job_id, status, claim_epoch, progress_at, pool_id FROM processing_jobs
WHERE parent_job_id IS NOT NULL AND status = 'processing' AND pool_id IS NOT NULL;
