-- Sign-in, invitations, quotas, the audit log, and row-level security. The release before knows none of it and goes on:
-- it logs in as the owner of the tables, whom row-level security leaves alone.

-- A member who is signed in. The cookie holds 32 random bytes, the table their SHA-256: who reads the table signs in
-- nowhere.
CREATE TABLE member_sessions (
    hash         bytea PRIMARY KEY CHECK (length(hash) = 32),
    member_id    uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    user_agent   text NOT NULL,
    address      text NOT NULL
);

CREATE INDEX member_sessions_by_member ON member_sessions (member_id, created_at);

-- A one-time link into a workspace: of its 32 random bytes the SHA-256 is kept.
CREATE TABLE invitations (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email        text COLLATE "C" NOT NULL CHECK (email = lower(email)),
    role         text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    accepted_at  timestamptz
);

CREATE INDEX invitations_by_workspace ON invitations (workspace_id, created_at);

ALTER TABLE api_keys
    ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0),
    ADD COLUMN scores_per_minute   integer CHECK (scores_per_minute > 0);

ALTER TABLE projects
    ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0),
    ADD COLUMN scores_per_minute   integer CHECK (scores_per_minute > 0);

-- Who did what. Rows are only ever added: nobody has the right to change or delete one, and a trigger says so even to
-- the owner of the table. Nothing is referenced, for the log outlives what it names.
CREATE TABLE audit_log (
    id           uuid PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    workspace_id uuid,
    project_id   uuid,
    action       text COLLATE "C" NOT NULL,
    actor_kind   text COLLATE "C" NOT NULL CHECK (actor_kind IN ('member', 'api_key', 'operator', 'stranger')),
    actor_id     uuid,
    subject      text COLLATE "C",
    details      jsonb NOT NULL DEFAULT '{}',
    request_id   text COLLATE "C",
    address      text COLLATE "C"
);

CREATE INDEX audit_log_by_workspace ON audit_log (workspace_id, at, id);
CREATE INDEX audit_log_by_project ON audit_log (project_id, at, id) WHERE project_id IS NOT NULL;

CREATE FUNCTION refuse_change_of_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to';
END
$$;

CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_log();

-- Triggers run with the rights of the tables' owner, so that nobody needs the right to write rollups.
ALTER FUNCTION count_config_change() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION add_to_score_rollups() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION take_from_score_rollups() SECURITY DEFINER SET search_path = public, pg_temp;

-- Row-level security: the second line behind `WHERE project_id = $1`. A login that is neither the owner of the tables
-- nor exempt (BYPASSRLS, as the worker's is: COPY knows no row-level security) sees and writes only rows of the project
-- that its transaction has named, and none before it has named one (shared.postgres.project_transaction).
CREATE FUNCTION project_of_transaction() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('assay.project_id', true), '')::uuid
$$;

ALTER TABLE score_configs ENABLE ROW LEVEL SECURITY;
ALTER TABLE scores ENABLE ROW LEVEL SECURITY;
ALTER TABLE batches ENABLE ROW LEVEL SECURITY;
ALTER TABLE rejected_scores ENABLE ROW LEVEL SECURITY;
ALTER TABLE score_tombstones ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE score_rollups ENABLE ROW LEVEL SECURITY;
ALTER TABLE score_config_versions ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_project ON score_configs USING (project_id = project_of_transaction());
CREATE POLICY own_project ON scores USING (project_id = project_of_transaction());
CREATE POLICY own_project ON batches USING (project_id = project_of_transaction());
CREATE POLICY own_project ON rejected_scores USING (project_id = project_of_transaction());
CREATE POLICY own_project ON score_tombstones USING (project_id = project_of_transaction());
CREATE POLICY own_project ON jobs USING (project_id = project_of_transaction());
CREATE POLICY own_project ON score_rollups USING (project_id = project_of_transaction());
CREATE POLICY own_project ON score_config_versions USING (
    EXISTS (SELECT FROM score_configs AS c WHERE c.id = config_id)  -- of which row-level security shows the project's own
);
