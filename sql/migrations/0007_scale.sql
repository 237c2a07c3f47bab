-- Half as many indexes for the lists. A list of any filter is put together from pieces of one index by type
-- and state, in the order of the list (sql/queries/job_list.sql), and every move of a job writes all its
-- indexes.

-- The type lies beside the id: what a list skips it skips in the index.
CREATE UNIQUE INDEX processing_jobs_id ON processing_jobs (id) INCLUDE (task_type);
ALTER TABLE processing_jobs DROP CONSTRAINT processing_jobs_pkey;
ALTER TABLE processing_jobs ADD CONSTRAINT processing_jobs_pkey PRIMARY KEY USING INDEX processing_jobs_id;

DROP INDEX processing_jobs_newest, processing_jobs_newest_by_status, processing_jobs_newest_by_type,
    processing_jobs_files, processing_jobs_files_by_status, processing_jobs_by_status;
CREATE INDEX processing_jobs_newest ON processing_jobs (id) INCLUDE (task_type)
    WHERE parent_job_id IS NULL AND task_type <> 'maintenance';
CREATE INDEX processing_jobs_files_by_status ON processing_jobs (parent_job_id, status, id)
    WHERE parent_job_id IS NOT NULL;
CREATE INDEX processing_jobs_any_files_by_status ON processing_jobs (status, id)
    WHERE parent_job_id IS NOT NULL;

-- With ten million rows a fiftieth is enough to change what a plan should be, and the default pace of a
-- vacuum (200 of cost, then 2 ms of sleep) leaves the queue's dead rows lying for minutes.
ALTER TABLE processing_jobs SET (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_limit = 2000);
-- Removed in slices by cleanup: a fifth of these would be gigabytes.
ALTER TABLE documents SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE document_pages SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
ALTER TABLE chunks SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
-- A few rows, renewed every two seconds for as long as a worker lives: each page is cleaned by the updates
-- themselves (HOT), and a vacuum now and then takes what a held snapshot kept.
ALTER TABLE worker_pools SET (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE workers SET (autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
