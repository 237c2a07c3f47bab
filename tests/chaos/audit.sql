-- What really happened to every job, written by the database itself: each change of state or claim, each document
-- that a job made visible, each page that was stored. The order of n is the order of the changes of one job, since
-- its row is locked meanwhile; `who` is the pool: each logs in as a role of its own.
CREATE SCHEMA audit;
CREATE TABLE audit.moves (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    job_id uuid NOT NULL, old text, new text, old_epoch bigint, epoch bigint, retry_count int, crash_count int,
    error_code text, who text NOT NULL DEFAULT session_user);
CREATE INDEX ON audit.moves (job_id, n);
CREATE TABLE audit.effects (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_id uuid NOT NULL, job_id uuid NOT NULL);

CREATE FUNCTION audit.moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO audit.moves (job_id, old, new, old_epoch, epoch, retry_count, crash_count)
        VALUES (OLD.job_id, OLD.status, NULL, OLD.claim_epoch, OLD.claim_epoch, OLD.retry_count, OLD.crash_count);
        RETURN OLD;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO audit.moves (job_id, new, old_epoch, epoch, retry_count, crash_count)
        VALUES (NEW.job_id, NEW.status, NEW.claim_epoch, NEW.claim_epoch, NEW.retry_count, NEW.crash_count);
    ELSIF (OLD.status, OLD.claim_epoch, OLD.retry_count, OLD.crash_count) IS DISTINCT FROM
          (NEW.status, NEW.claim_epoch, NEW.retry_count, NEW.crash_count) THEN
        INSERT INTO audit.moves (job_id, old, new, old_epoch, epoch, retry_count, crash_count, error_code)
        VALUES (NEW.job_id, OLD.status, NEW.status, OLD.claim_epoch, NEW.claim_epoch, NEW.retry_count,
                NEW.crash_count, NEW.error_code);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON processing_jobs FOR EACH ROW EXECUTE FUNCTION audit.moved();

CREATE FUNCTION audit.affected() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.revision_id <> NEW.revision_id THEN
        INSERT INTO audit.effects (document_id, job_id) VALUES (NEW.document_id, NEW.revision_id);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON documents FOR EACH ROW EXECUTE FUNCTION audit.affected();

-- A page that is stored by a pool that does not have the job is a write that the fence let through.
CREATE TABLE audit.strays (at timestamptz NOT NULL DEFAULT clock_timestamp(), job_id uuid, page int, status text,
                           who text, claimer text);
CREATE FUNCTION audit.stored() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_status text;
    claimer text;
BEGIN
    SELECT status INTO now_status FROM processing_jobs WHERE job_id = NEW.revision_id;
    SELECT m.who INTO claimer FROM audit.moves AS m WHERE m.job_id = NEW.revision_id AND m.new = 'processing'
    ORDER BY m.n DESC LIMIT 1;
    IF now_status IS DISTINCT FROM 'processing' OR claimer IS DISTINCT FROM session_user THEN
        INSERT INTO audit.strays VALUES (default, NEW.revision_id, NEW.page, now_status, session_user, claimer);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit AFTER INSERT ON document_pages FOR EACH ROW EXECUTE FUNCTION audit.stored();
