-- Jobs, leases, documents, pages, chunks.
--
-- processing_jobs and job_statistics keep every column of the published schema by name and meaning;
-- the columns behind them are ours.

CREATE TABLE processing_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id uuid NOT NULL UNIQUE,
    task_type text NOT NULL
        CHECK (task_type IN ('single_document', 'directory_batch', 'document_reprocess', 'maintenance')),
    priority text NOT NULL CHECK (priority IN ('high', 'medium', 'low')),
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled', 'retrying')),
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    completed_at timestamptz,
    progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    error_message text,
    retry_count integer NOT NULL DEFAULT 0,
    payload jsonb NOT NULL,
    result jsonb,
    worker_id text,
    actual_duration bigint,

    progress_message text NOT NULL DEFAULT 'Waiting for a worker',
    progress_at timestamptz NOT NULL DEFAULT now(),
    pages_done integer NOT NULL DEFAULT 0,
    pages_total integer NOT NULL DEFAULT 0,
    error_code text,
    max_retries integer NOT NULL,
    -- It may run when status is pending or retrying and this has passed.
    ready_at timestamptz NOT NULL DEFAULT now(),
    -- The fence: one more at every claim, never reset. Every write of a worker carries it.
    claim_epoch bigint NOT NULL DEFAULT 0,
    -- Times its worker died with it.
    crash_count integer NOT NULL DEFAULT 0,
    -- The pool that has it while processing.
    pool_id uuid,
    document_id uuid,
    document_name text,
    content_hash text,
    parent_job_id uuid,
    parent_path text,
    idempotency_key text,
    -- AES-256-GCM, erased at the terminal state.
    sealed_password bytea,
    CHECK ((status = 'processing') = (pool_id IS NOT NULL) OR task_type = 'directory_batch')
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- The lanes' order: what may run, oldest first.
CREATE INDEX processing_jobs_runnable ON processing_jobs (priority, ready_at, job_id)
    WHERE status IN ('pending', 'retrying');
CREATE INDEX processing_jobs_held ON processing_jobs (pool_id) WHERE pool_id IS NOT NULL;
CREATE INDEX processing_jobs_by_status ON processing_jobs (status, id);
CREATE INDEX processing_jobs_created ON processing_jobs (created_at);
CREATE INDEX processing_jobs_finished ON processing_jobs (completed_at) WHERE completed_at IS NOT NULL;
CREATE UNIQUE INDEX processing_jobs_children ON processing_jobs (parent_job_id, parent_path)
    WHERE parent_job_id IS NOT NULL;
CREATE UNIQUE INDEX processing_jobs_idempotency ON processing_jobs (idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE job_statistics (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    date date NOT NULL DEFAULT CURRENT_DATE UNIQUE,
    total_jobs integer NOT NULL DEFAULT 0,
    completed_jobs integer NOT NULL DEFAULT 0,
    failed_jobs integer NOT NULL DEFAULT 0,
    avg_processing_time double precision NOT NULL DEFAULT 0,
    cancelled_jobs integer NOT NULL DEFAULT 0,
    pages integer NOT NULL DEFAULT 0
);

-- A worker process. It holds jobs for as long as its heartbeat moves; a dead row stays for an hour so
-- that a stopped process that wakes up finds out.
CREATE TABLE worker_pools (
    pool_id uuid PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    -- Grows with every beat: sweepers watch it move, so no clock of another host matters.
    beats bigint NOT NULL DEFAULT 0,
    dead_at timestamptz
) WITH (fillfactor = 50);

CREATE TABLE workers (
    pool_id uuid NOT NULL REFERENCES worker_pools ON DELETE CASCADE,
    name text NOT NULL,
    priority text NOT NULL CHECK (priority IN ('high', 'any')),
    is_running boolean NOT NULL DEFAULT true,
    processed_count bigint NOT NULL DEFAULT 0,
    failed_count bigint NOT NULL DEFAULT 0,
    current_job uuid,
    started_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pool_id, name)
) WITH (fillfactor = 50);

-- What an operator asked for; no row: TASK_WORKERS_AUTO_START decides.
CREATE TABLE worker_control (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    running boolean NOT NULL,
    now boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE documents (
    document_id uuid PRIMARY KEY,
    -- The job that read the pages and chunks that readers see.
    revision_id uuid NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    -- SHA-256 of bytes and settings; null: duplicate detection was off.
    dedupe_key text UNIQUE,
    content_hash text NOT NULL,
    file_name text NOT NULL,
    file_path text NOT NULL,
    file_size bigint NOT NULL,
    content_type text NOT NULL,
    page_count integer NOT NULL,
    chunk_count integer NOT NULL,
    title text,
    languages text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX documents_by_hash ON documents (content_hash);

-- Checkpoints while a job reads, the stored text afterwards. revision_id is the job's id.
CREATE TABLE document_pages (
    revision_id uuid NOT NULL,
    page integer NOT NULL,
    label text,
    engine text NOT NULL CHECK (engine IN ('text', 'ocr', 'mixed', 'layer', 'blank', 'failed')),
    reason text NOT NULL DEFAULT '',
    confidence double precision,
    char_count integer NOT NULL,
    width double precision NOT NULL,
    height double precision NOT NULL,
    rotation integer NOT NULL,
    ms integer NOT NULL,
    error text,
    text text NOT NULL,
    -- Line boxes, packed; only the chunker reads it.
    layout bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (revision_id, page)
);
-- pglz on every page costs more than the disk it saves; lz4 is nearly free.
ALTER TABLE document_pages ALTER COLUMN text SET COMPRESSION lz4;
ALTER TABLE document_pages ALTER COLUMN layout SET COMPRESSION lz4;

CREATE TABLE chunks (
    revision_id uuid NOT NULL,
    chunk_index integer NOT NULL,
    chunk_id uuid NOT NULL,
    content text NOT NULL,
    page_start integer NOT NULL,
    page_end integer NOT NULL,
    spans jsonb NOT NULL,
    heading_path jsonb NOT NULL DEFAULT '[]',
    token_count integer NOT NULL,
    PRIMARY KEY (revision_id, chunk_index)
);
ALTER TABLE chunks ALTER COLUMN content SET COMPRESSION lz4;
