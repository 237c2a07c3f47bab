-- Directory batches: what of a batch may run, and what waits, is found whatever its size. And the languages
-- a document was sent with, for reading it again.

DROP INDEX processing_jobs_unfinished_children;
-- ready_at: the past for files that run or may run, the future for those that wait for another attempt,
-- infinity for those that nobody released yet.
CREATE INDEX processing_jobs_unfinished_children ON processing_jobs (parent_job_id, ready_at, id)
    WHERE parent_job_id IS NOT NULL AND status IN ('pending', 'retrying', 'processing');
-- The sweep looks at these every second.
CREATE INDEX processing_jobs_open_batches ON processing_jobs (job_id)
    WHERE task_type = 'directory_batch' AND status = 'processing';

ALTER TABLE documents ADD COLUMN own_languages text[] NOT NULL DEFAULT '{}';
