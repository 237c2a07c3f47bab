-- What an operator asked for, if anything.
SELECT running, extract(epoch FROM changed_at), max_workers FROM worker_control
