-- What an operator asked for, if anything.
SELECT running, extract(epoch FROM changed_at) FROM worker_control
