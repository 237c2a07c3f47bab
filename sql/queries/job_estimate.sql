-- About how many jobs match, from the statistics of the last ANALYZE; $1 status, $2 task type, $3 children
-- too. A value that the statistics do not name is rare.
SELECT (c.reltuples
        * CASE WHEN $1::text IS NULL THEN 1 ELSE coalesce((
              SELECT f FROM unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS v (val, f)
              WHERE val = $1), 0) END
        * CASE WHEN $2::text IS NULL THEN 1 ELSE coalesce((
              SELECT f FROM unnest(t.most_common_vals::text::text[], t.most_common_freqs) AS v (val, f)
              WHERE val = $2), 0) END
        * CASE WHEN $3::boolean THEN 1 ELSE coalesce(p.null_frac, 1) END)::bigint
FROM pg_class AS c
LEFT JOIN pg_stats AS s ON s.schemaname = current_schema() AND s.tablename = c.relname AND s.attname = 'status'
LEFT JOIN pg_stats AS t ON t.schemaname = current_schema() AND t.tablename = c.relname AND t.attname = 'task_type'
LEFT JOIN pg_stats AS p ON p.schemaname = current_schema() AND p.tablename = c.relname AND p.attname = 'parent_job_id'
WHERE c.oid = 'processing_jobs'::regclass
