-- At 300 a vacuum of what a cleanup left wrote, with its log, 100 MB a second for as long as it lasted: more than many
-- volumes take, and commits queue behind it. PostgreSQL's own pace is two thirds of that, and what an operator sets for
-- the server counts here again.
ALTER TABLE processing_jobs RESET (autovacuum_vacuum_cost_limit);
