-- Who may do what: two roles with the least rights that their service needs. Ingest has none: it opens no database.
-- A login of the api is made a member of assay_api, one of the worker a member of assay_worker (docs/operating.md).
-- Applied after every migration; again is harmless.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'assay_api') THEN
        CREATE ROLE assay_api NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'assay_worker') THEN
        CREATE ROLE assay_worker NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server is migrated at the same time
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM assay_api, assay_worker;

GRANT SELECT ON schema_migrations, workspaces, projects TO assay_api, assay_worker;

-- The api reads scores, and deletes them where a person asks for it. It writes none.
GRANT SELECT, DELETE ON scores TO assay_api;
GRANT SELECT, DELETE ON rejected_scores TO assay_api;
GRANT SELECT ON batches, score_rollups TO assay_api;
GRANT SELECT, INSERT, UPDATE ON score_tombstones, jobs TO assay_api;
GRANT SELECT, INSERT, UPDATE ON score_configs, score_config_versions TO assay_api;

-- Accounts are the api's alone.
GRANT UPDATE (name) ON workspaces TO assay_api;
GRANT INSERT ON projects TO assay_api;
GRANT UPDATE (name, retention_days, requests_per_minute, scores_per_minute) ON projects TO assay_api;
GRANT SELECT, INSERT, UPDATE ON members, api_keys, invitations TO assay_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON workspace_members, member_sessions TO assay_api;
GRANT DELETE ON invitations TO assay_api;
GRANT SELECT, INSERT ON audit_log TO assay_api;

-- The worker writes scores and what belongs to them. Of accounts it knows the keys, without being able to make one.
GRANT SELECT, INSERT, UPDATE, DELETE ON scores, batches, rejected_scores, score_tombstones, jobs TO assay_worker;
GRANT SELECT ON score_rollups, score_configs, score_config_versions, api_keys TO assay_worker;
GRANT UPDATE (last_used_at) ON api_keys TO assay_worker;
