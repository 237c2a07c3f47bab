-- Statistics are added up once a job, whatever is removed later; and workers may be limited by request.

ALTER TABLE processing_jobs ADD COLUMN counted boolean NOT NULL DEFAULT false;
CREATE INDEX processing_jobs_uncounted ON processing_jobs (completed_at)
    WHERE NOT counted AND completed_at IS NOT NULL;
CREATE INDEX processing_jobs_unfinished_children ON processing_jobs (parent_job_id, id)
    WHERE parent_job_id IS NOT NULL AND status IN ('pending', 'retrying', 'processing');

ALTER TABLE worker_control ADD COLUMN max_workers integer, ADD COLUMN high_priority_workers integer;
CREATE INDEX documents_newest ON documents (created_at, document_id);
