-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Functions for one session that is about to write very many rows: it takes a table's indexes away first
-- and makes the same ones again afterwards, in a fraction of the time. Read by tests and benchmarks
-- that need a full table; nothing of it stays in the database.
--
--   SELECT pg_temp.indexes_off('processing_jobs');
--   INSERT ...;
--   SELECT pg_temp.indexes_on();
SET maintenance_work_mem = '256MB';
CREATE TEMP TABLE bulk_indexes (n serial, definition text);

CREATE FUNCTION pg_temp.indexes_off(t regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    i record;
BEGIN
    FOR i IN
        SELECT x.indexrelid::regclass AS name, pg_get_indexdef(x.indexrelid) AS definition, c.conname,
               pg_get_constraintdef(c.oid) AS condef
        FROM pg_index AS x LEFT JOIN pg_constraint AS c ON c.conindid = x.indexrelid AND c.contype IN ('p', 'u')
        WHERE x.indrelid = t ORDER BY x.indexrelid
    LOOP
        IF i.conname IS NULL THEN
            EXECUTE format('DROP INDEX %s', i.name);
            INSERT INTO bulk_indexes (definition) VALUES (i.definition);
        ELSE
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', t, i.conname);
            INSERT INTO bulk_indexes (definition)
            VALUES (format('ALTER TABLE %s ADD CONSTRAINT %I %s', t, i.conname, i.condef));
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION pg_temp.indexes_on() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d text;
BEGIN
    FOR d IN SELECT definition FROM bulk_indexes ORDER BY n LOOP
        EXECUTE d;
    END LOOP;
    DELETE FROM bulk_indexes;
END $$;
