-- The workers of a new pool.
INSERT INTO workers (pool_id, name, priority)
SELECT $1::uuid, w.name, w.priority FROM unnest($2::text[], $3::text[]) AS w (name, priority)
