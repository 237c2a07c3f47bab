-- Maintenance as ordinary jobs; files without a document or a job are found; old jobs are found whatever
-- lies between them.

-- What is done from time to time. The sweep submits a kind that is due and has something to do, and job_id
-- is the last one it submitted.
CREATE TABLE maintenance (
    kind text PRIMARY KEY CHECK (kind IN ('statistics', 'retention', 'orphans')),
    name text NOT NULL,
    every interval NOT NULL,
    submitted_at timestamptz NOT NULL DEFAULT now(),
    job_id uuid
) WITH (fillfactor = 50);
INSERT INTO maintenance (kind, name, every)
VALUES ('statistics', 'Count finished jobs', '1 minute'), ('retention', 'Remove old jobs', '1 minute'),
       ('orphans', 'Remove orphaned files', '1 hour');

-- Whose uploads those in STORAGE_URL are: a database that somebody pointed to another one's folder must not
-- remove what it does not know. Kept by dump and restore.
CREATE TABLE store_owner (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    owner_id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO store_owner DEFAULT VALUES;

-- Old jobs are looked for among what is listed: the files of one large batch must not lie in the way.
CREATE INDEX processing_jobs_ended ON processing_jobs (completed_at)
    WHERE completed_at IS NOT NULL AND parent_job_id IS NULL;
CREATE INDEX processing_jobs_ended_files ON processing_jobs (completed_at)
    WHERE completed_at IS NOT NULL AND parent_job_id IS NOT NULL;
DROP INDEX processing_jobs_finished;

-- The folder an original lies in is named by the upload's job, wherever the root was.
CREATE INDEX documents_by_folder ON documents (
    substring(file_path from '/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/[^/]*$'));
