-- Any page of any list costs the same. Statements filter in the index and fetch only the rows they show.

-- Lists leave the files of directory batches out, which may be most of the table.
CREATE INDEX processing_jobs_newest ON processing_jobs (id)
    WHERE parent_job_id IS NULL AND task_type <> 'maintenance';
CREATE INDEX processing_jobs_newest_by_type ON processing_jobs (task_type, id) WHERE parent_job_id IS NULL;
CREATE INDEX processing_jobs_newest_by_status ON processing_jobs (status, id) INCLUDE (task_type)
    WHERE parent_job_id IS NULL;
CREATE INDEX processing_jobs_newest_by_both ON processing_jobs (task_type, status, id)
    WHERE parent_job_id IS NULL;
CREATE INDEX processing_jobs_files_by_status ON processing_jobs (parent_job_id, status, id) INCLUDE (task_type)
    WHERE parent_job_id IS NOT NULL;
CREATE INDEX processing_jobs_files ON processing_jobs (parent_job_id, id) INCLUDE (status, task_type)
    WHERE parent_job_id IS NOT NULL;

DROP INDEX processing_jobs_by_status;
CREATE INDEX processing_jobs_by_status ON processing_jobs (status, id) INCLUDE (task_type);
