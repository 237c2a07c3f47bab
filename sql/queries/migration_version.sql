-- The newest applied migration, 0 when there is none.
SELECT coalesce(max(number), 0) FROM schema_migrations
