-- Remembers a migration.
INSERT INTO schema_migrations (number, name) VALUES ($1::int, $2)
