-- Cleaning up without a wave on the disk. After a cleanup autovacuum goes through all indexes. At ten times the
-- default pace it wrote so much log that one checkpoint followed the other; what it had pushed out of the cache went
-- to the disk all at once, with the checkpoint's sync, and every commit of others waited for that.

-- The default is 200.
ALTER TABLE processing_jobs SET (autovacuum_vacuum_cost_limit = 300);

-- Pages pushed out of the cache are written at once. For all sessions of this database, because autovacuum takes it
-- from nowhere else; left as it is where somebody chose a value or another role owns the database
-- (docs/maintenance.md).
DO $$
BEGIN
    IF current_setting('backend_flush_after') = '0'
       AND (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) THEN
        EXECUTE format('ALTER DATABASE %I SET backend_flush_after = ''256kB''', current_database());
    END IF;
END $$;
