-- Half as many indexes for the lists. A list of any filter is put together from pieces of one index by type
-- and state, in the order of the list (sql/queries/job_list.sql), and every move of a job writes all its
-- indexes.

-- The type lies beside the id: a list with files of batches skips in the index.
CREATE UNIQUE INDEX processing_jobs_id ON processing_jobs (id) INCLUDE (task_type);
ALTER TABLE processing_jobs DROP CONSTRAINT processing_jobs_pkey;
ALTER TABLE processing_jobs ADD CONSTRAINT processing_jobs_pkey PRIMARY KEY USING INDEX processing_jobs_id;

DROP INDEX processing_jobs_newest_by_status, processing_jobs_newest_by_type, processing_jobs_files,
    processing_jobs_files_by_status, processing_jobs_by_status;
CREATE INDEX processing_jobs_files_by_status ON processing_jobs (parent_job_id, status, id)
    WHERE parent_job_id IS NOT NULL;
CREATE INDEX processing_jobs_any_files_by_status ON processing_jobs (status, id)
    WHERE parent_job_id IS NOT NULL;
