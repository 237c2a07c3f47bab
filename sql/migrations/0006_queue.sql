-- Every move of a job writes all its indexes, because its state is in them. When a job came is asked once
-- for a day (statistics), rows come in that order, and a BRIN costs a move next to nothing.
DROP INDEX processing_jobs_created;
CREATE INDEX processing_jobs_created ON processing_jobs USING brin (created_at)
    WITH (pages_per_range = 32, autosummarize = on);
