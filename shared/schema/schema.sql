-- The whole database of Assay as it stands after the last migration. A test builds one database from this file and
-- one from migrations/ and compares them: change both, always.
--
-- Text keys are COLLATE "C": byte order, the same on every machine, and the cheapest to compare.
-- `project_id` comes first in every key. Nothing references `scores` and `scores` references nothing: a foreign key
-- would cost one look-up per row on the hot path, and the worker has checked the project in the same transaction.
-- Which login may do what with which table is in rights.sql.

CREATE TABLE schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);


-- Who owns what ------------------------------------------------------------------------------------------------------

CREATE TABLE workspaces (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug       text COLLATE "C" NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id    uuid NOT NULL REFERENCES workspaces (id),
    slug            text COLLATE "C" NOT NULL CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- Counts the changes of the project's score configs. The worker reads it in the transaction that writes scores,
    -- and so knows whether the configs it holds are still the ones in force.
    config_revision bigint NOT NULL DEFAULT 0,
    -- Scores made longer ago than this are deleted; NULL keeps them for ever.
    retention_days  integer CHECK (retention_days BETWEEN 1 AND 36500),
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- Quotas; NULL: none.
    requests_per_minute integer CHECK (requests_per_minute > 0),
    scores_per_minute   integer CHECK (scores_per_minute > 0),
    UNIQUE (workspace_id, slug)
);

CREATE TABLE members (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email         text COLLATE "C" NOT NULL UNIQUE CHECK (email = lower(email)),
    name          text NOT NULL,
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE workspace_members (
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    member_id    uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    role         text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, member_id)
);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id   uuid NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    prefix       text COLLATE "C" NOT NULL,
    hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes       text[] NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    -- Quotas; NULL: none.
    requests_per_minute integer CHECK (requests_per_minute > 0),
    scores_per_minute   integer CHECK (scores_per_minute > 0)
);

CREATE INDEX api_keys_by_project ON api_keys (project_id, created_at);

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


-- Audit log -----------------------------------------------------------------------------------------------------------

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


-- Score configs ------------------------------------------------------------------------------------------------------

CREATE TABLE score_configs (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id       uuid NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name             text COLLATE "C" NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]*$' AND length(name) <= 100),
    data_type        text COLLATE "C" NOT NULL CHECK (data_type IN ('NUMERIC', 'CATEGORICAL', 'BOOLEAN')),
    description      text CHECK (length(description) <= 500),
    min_value        double precision,
    max_value        double precision,
    categories       text[],
    higher_is_better boolean,
    enforcement      text COLLATE "C" NOT NULL DEFAULT 'reject' CHECK (enforcement IN ('reject', 'warn')),
    version          integer NOT NULL DEFAULT 1,
    is_archived      boolean NOT NULL DEFAULT false,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (data_type = 'NUMERIC' OR (min_value IS NULL AND max_value IS NULL)),
    CHECK (min_value < max_value),
    CHECK ((data_type = 'CATEGORICAL') = (categories IS NOT NULL))
);

CREATE UNIQUE INDEX score_configs_one_active ON score_configs (project_id, name) WHERE NOT is_archived;
CREATE INDEX score_configs_by_name ON score_configs (project_id, name, created_at);

-- What a rule said when it judged: scores and rejected scores name (config_id, config_version).
CREATE TABLE score_config_versions (
    config_id        uuid NOT NULL REFERENCES score_configs (id) ON DELETE CASCADE,
    version          integer NOT NULL,
    data_type        text COLLATE "C" NOT NULL,
    description      text,
    min_value        double precision,
    max_value        double precision,
    categories       text[],
    higher_is_better boolean,
    enforcement      text COLLATE "C" NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (config_id, version)
);

CREATE FUNCTION count_config_change() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE projects
    SET config_revision = config_revision + 1
    WHERE id = coalesce(NEW.project_id, OLD.project_id);
    RETURN NULL;
END
$$;

CREATE TRIGGER count_config_change AFTER INSERT OR UPDATE OR DELETE ON score_configs
    FOR EACH ROW EXECUTE FUNCTION count_config_change();


-- Scores -------------------------------------------------------------------------------------------------------------

CREATE TABLE scores (
    project_id        uuid NOT NULL,
    config_id         uuid,
    author_id         uuid,
    version           bigint NOT NULL,
    numeric_value     double precision,
    scored_at         timestamptz NOT NULL,
    received_at       timestamptz NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    config_version    integer,
    boolean_value     boolean,
    id                text COLLATE "C" NOT NULL,
    name              text COLLATE "C" NOT NULL,
    data_type         text COLLATE "C" NOT NULL,
    categorical_value text COLLATE "C",
    trace_id          text COLLATE "C",
    span_id           text COLLATE "C",
    session_id        text COLLATE "C",
    user_id           text COLLATE "C",
    source            text COLLATE "C" NOT NULL,
    environment       text COLLATE "C" NOT NULL,
    author            text COLLATE "C",
    violation         text COLLATE "C",
    comment           text,
    metadata          jsonb,
    -- With `version` the place among the writes of the project: the place of the batch, and the one in the batch.
    batch_index       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, id),
    CONSTRAINT scores_value_fits_data_type CHECK (
        CASE data_type
            WHEN 'NUMERIC' THEN numeric_value IS NOT NULL AND categorical_value IS NULL AND boolean_value IS NULL
            WHEN 'CATEGORICAL' THEN categorical_value IS NOT NULL AND numeric_value IS NULL AND boolean_value IS NULL
            WHEN 'BOOLEAN' THEN boolean_value IS NOT NULL AND numeric_value IS NULL AND categorical_value IS NULL
            ELSE false
        END
    ),
    CONSTRAINT scores_one_target CHECK (
        num_nonnulls(coalesce(span_id, trace_id), session_id, user_id) = 1
    ),
    CONSTRAINT scores_known_source CHECK (source IN ('SDK', 'HUMAN', 'LLM_JUDGE', 'EXTERNAL'))
);

CREATE INDEX scores_by_time ON scores (project_id, scored_at, id);
CREATE INDEX scores_by_name ON scores (project_id, name, scored_at, id);
CREATE INDEX scores_by_trace ON scores (project_id, trace_id, scored_at, id) WHERE trace_id IS NOT NULL;
CREATE INDEX scores_by_span ON scores (project_id, span_id, scored_at, id) WHERE span_id IS NOT NULL;
CREATE INDEX scores_by_session ON scores (project_id, session_id, scored_at, id) WHERE session_id IS NOT NULL;
CREATE INDEX scores_by_user ON scores (project_id, user_id, scored_at, id) WHERE user_id IS NOT NULL;

-- For who follows what arrives, back-fills included. Scores lie in the table about as they arrived: a BRIN index finds
-- the newest blocks and costs next to nothing.
CREATE INDEX scores_by_arrival ON scores USING brin (received_at) WITH (autosummarize = on);

-- What became of each batch, written in the transaction that wrote its scores: the receipt, and the proof that keeps
-- a batch delivered twice from being counted twice.
CREATE TABLE batches (
    project_id  uuid NOT NULL,
    batch_id    text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    done_at     timestamptz NOT NULL DEFAULT now(),
    stored      integer NOT NULL,
    replaced    integer NOT NULL,
    unchanged   integer NOT NULL,
    rejected    integer NOT NULL,
    PRIMARY KEY (project_id, batch_id)
);

CREATE INDEX batches_by_done_at ON batches USING brin (done_at);

CREATE TABLE rejected_scores (
    project_id     uuid NOT NULL,
    batch_id       text COLLATE "C" NOT NULL,
    index          integer NOT NULL,
    score_id       text COLLATE "C" NOT NULL,
    name           text COLLATE "C",
    code           text COLLATE "C" NOT NULL,
    pointer        text COLLATE "C" NOT NULL,
    detail         text NOT NULL,
    config_id      uuid,
    config_version integer,
    -- The whole score as it was accepted, byte for byte (json, not jsonb), so that it can be replayed.
    original       json NOT NULL,
    request_id     text COLLATE "C" NOT NULL,
    received_at    timestamptz NOT NULL,
    rejected_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, batch_id, index)
);

CREATE INDEX rejected_scores_by_time ON rejected_scores (project_id, rejected_at, batch_id, index);
CREATE INDEX rejected_scores_by_score ON rejected_scores (project_id, score_id, rejected_at);


-- Deletes ------------------------------------------------------------------------------------------------------------
-- A delete is final: a copy of the score that was received before it, and is stored later, stays away. `version` is the
-- place of the delete among the project's writes. A schedule forgets a tombstone once the queue holds nothing older.

CREATE TABLE score_tombstones (
    project_id uuid NOT NULL,
    id         text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id)
);


-- Jobs ---------------------------------------------------------------------------------------------------------------
-- What runs in the background and may take long. The row is the truth, arq only says when to run: a job whose runner
-- died is taken up again where its last committed chunk ended.

CREATE TABLE jobs (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id  uuid NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    kind        text COLLATE "C" NOT NULL CHECK (kind IN ('delete_scores', 'replay_rejected', 'delete_rejected')),
    state       text COLLATE "C" NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
    arguments   jsonb NOT NULL,
    -- How many scores it is about, or NULL where counting them would have taken too long.
    total       bigint,
    counts      jsonb NOT NULL DEFAULT '{}',
    detail      text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

CREATE INDEX jobs_by_project ON jobs (project_id, created_at);
CREATE INDEX jobs_unfinished ON jobs (updated_at) WHERE state IN ('queued', 'running');


-- Rollups ------------------------------------------------------------------------------------------------------------
-- One row per bucket of time, name, data type, source, environment and label. The label is the category of a
-- CATEGORICAL score, 'true' or 'false' of a BOOLEAN one and '' of a NUMERIC one. Widths are 15 minutes ('quarter':
-- the finest step of today's time zone offsets), a day and a month in UTC.
--
-- sum and sum_squares are exact decimals: adding and taking away round nothing, in whatever order it happens, and
-- n·Σx² − (Σx)² has no cancellation (docs/adr: how rollups stay exact). min and max are read again from the rows when
-- the score that held them goes.

CREATE TABLE score_rollups (
    project_id  uuid NOT NULL,
    bucket      timestamptz NOT NULL,
    count       bigint NOT NULL,
    min         double precision,
    max         double precision,
    width       text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    data_type   text COLLATE "C" NOT NULL,
    source      text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    label       text COLLATE "C" NOT NULL,
    sum         numeric,
    sum_squares numeric
);

-- A label can be 2,000 bytes long, an index entry 2,700: hence its digest.
CREATE UNIQUE INDEX score_rollups_key
    ON score_rollups (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid));

-- Writers that only add scores hold the project's lock shared; one that takes scores away (replace, delete,
-- retention) holds it alone. Both take it first, for all their projects in one order: so no two of them can wait for
-- each other's rollup rows in a circle.
CREATE FUNCTION lock_scores_shared(project_ids uuid[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock_shared(4711, key)
    FROM (SELECT DISTINCT hashtext(project_id::text) AS key FROM unnest(project_ids) AS project_id ORDER BY key) AS keys
$$;

CREATE FUNCTION lock_scores_alone(project_ids uuid[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(4711, key)
    FROM (SELECT DISTINCT hashtext(project_id::text) AS key FROM unnest(project_ids) AS project_id ORDER BY key) AS keys
$$;

-- Each value becomes a decimal once, not three times: OFFSET 0 keeps the planner from copying the expression.
-- The triggers run with the rights of the tables' owner, so that nobody needs the right to write rollups. And with
-- doubles as the shortest decimals that name them, whatever the session has set: what is taken is what was added.
CREATE FUNCTION add_to_score_rollups() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp SET extra_float_digits = 1 AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
    WITH quarters AS (
        SELECT
            project_id, date_bin('15 minutes', scored_at, 'epoch') AS quarter, name, data_type, source, environment,
            coalesce(categorical_value, boolean_value::text, '') AS label,
            count(*) AS count,
            sum(decimal_value) AS sum,
            sum(decimal_value * decimal_value) AS sum_squares,
            min(numeric_value) AS min,
            max(numeric_value) AS max
        FROM (SELECT *, numeric_value::text::numeric AS decimal_value FROM new_scores OFFSET 0) AS once_converted
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ),
    buckets AS (
        SELECT 'quarter' AS width, quarter AS bucket, * FROM quarters
        UNION ALL
        SELECT 'hour', date_bin('1 hour', quarter, 'epoch'), * FROM quarters
        UNION ALL
        SELECT 'day', date_bin('1 day', quarter, 'epoch'), * FROM quarters
        UNION ALL
        SELECT 'month', date_trunc('month', quarter, 'UTC'), * FROM quarters
    )
    SELECT
        project_id, width, bucket, name, data_type, source, environment, label,
        sum(count), sum(sum), sum(sum_squares), min(min), max(max)
    FROM buckets
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ORDER BY 1, 2, 4, 3, 5, 6, 7, 8
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET count = r.count + excluded.count,
        sum = r.sum + excluded.sum,
        sum_squares = r.sum_squares + excluded.sum_squares,
        min = least(r.min, excluded.min),
        max = greatest(r.max, excluded.max);
    RETURN NULL;
END
$$;

-- Takes scores away from their buckets. `gone` has what goes, by bucket, of all widths. All of it at once: scores of
-- ten thousand environments of one quarter must not read that quarter ten thousand times. And by LATERAL and ON
-- CONFLICT only, which go by the index: a join of so many with so many goes wrong where the planner expects few.
CREATE FUNCTION take_from_score_rollups() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET plan_cache_mode = force_custom_plan SET search_path = public, pg_temp
    SET extra_float_digits = 1 AS $$
DECLARE
    gone score_rollups[];
BEGIN
    PERFORM lock_scores_alone(ARRAY(SELECT DISTINCT project_id FROM old_scores));
    gone := ARRAY(
        SELECT ROW(
            project_id, w.bucket, count(*), min(numeric_value), max(numeric_value), w.width, name, data_type, source,
            environment, coalesce(categorical_value, boolean_value::text, ''),
            sum(numeric_value::text::numeric), sum(numeric_value::text::numeric * numeric_value::text::numeric)
        )::score_rollups
        FROM old_scores
        CROSS JOIN LATERAL (
            VALUES
                ('quarter', date_bin('15 minutes', scored_at, 'epoch')),
                ('hour', date_bin('1 hour', scored_at, 'epoch')),
                ('day', date_bin('1 day', scored_at, 'epoch')),
                ('month', date_trunc('month', scored_at, 'UTC'))
        ) AS w (width, bucket)
        GROUP BY
            project_id, w.bucket, w.width, name, data_type, source, environment,
            coalesce(categorical_value, boolean_value::text, '')
    );
    PERFORM subtract_from_score_rollups(gone);
    PERFORM read_quarter_extremes_again(gone);
    PERFORM read_extremes_again(gone, 'hour', '1 hour', 'quarter');  -- from the quarters: hence after them
    PERFORM read_extremes_again(gone, 'day', '1 day', 'hour');
    PERFORM read_extremes_again(gone, 'month', '1 month', 'day');
    RETURN NULL;
END
$$;

CREATE FUNCTION subtract_from_score_rollups(gone score_rollups[]) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares)
    SELECT project_id, width, bucket, name, data_type, source, environment, label, -count, -sum, -sum_squares
    FROM unnest(gone)
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET count = r.count + excluded.count,
        sum = r.sum + excluded.sum,
        sum_squares = r.sum_squares + excluded.sum_squares;

    DELETE FROM score_rollups
    WHERE ctid = ANY (ARRAY(SELECT is_now.ctid FROM buckets_now(gone) AS is_now WHERE is_now.count = 0));
END
$$;

-- The buckets of `gone` as they are now, and the extremes of what went.
CREATE FUNCTION buckets_now(gone score_rollups[]) RETURNS TABLE (
    ctid tid, project_id uuid, width text, bucket timestamptz, name text, source text, environment text, count bigint,
    min double precision, max double precision, gone_min double precision, gone_max double precision
) LANGUAGE sql STABLE ROWS 10 SET plan_cache_mode = force_custom_plan AS $$
    SELECT
        r.ctid, r.project_id, r.width, r.bucket, r.name, r.source, r.environment, r.count, r.min, r.max, g.min, g.max
    FROM unnest(gone) AS g
    CROSS JOIN LATERAL (
        SELECT s.ctid, s.* FROM score_rollups AS s
        WHERE s.project_id = g.project_id AND s.width = g.width AND s.name = g.name AND s.bucket = g.bucket
            AND s.data_type = g.data_type AND s.source = g.source AND s.environment = g.environment
            AND md5(s.label)::uuid = md5(g.label)::uuid
        LIMIT 1
    ) AS r
$$;

-- Quarters that lost a score as small as their smallest, or as large as their largest. Most often another score with
-- the same value remains and is among the first ones. Where it isn't, the quarter is read whole, once.
CREATE FUNCTION read_quarter_extremes_again(gone score_rollups[]) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
    WITH doubtful AS MATERIALIZED (
        SELECT project_id, name, bucket, source, environment, min, max, gone_min <= min AS min_is, gone_max >= max AS max_is
        FROM buckets_now(gone)
        WHERE width = 'quarter' AND (gone_min <= min OR gone_max >= max)
    ),
    first_ones AS (
        SELECT
            d.project_id, d.name, d.bucket, s.source, s.environment,
            min(s.numeric_value) AS min, max(s.numeric_value) AS max
        FROM (SELECT DISTINCT project_id, name, bucket FROM doubtful) AS d
        CROSS JOIN LATERAL (
            SELECT source, environment, numeric_value FROM scores
            WHERE project_id = d.project_id AND name = d.name AND data_type = 'NUMERIC'
                AND scored_at >= d.bucket AND scored_at < d.bucket + interval '15 minutes'
            LIMIT 200
        ) AS s
        GROUP BY 1, 2, 3, 4, 5
    ),
    unknown AS (
        SELECT project_id, name, bucket
        FROM (
            SELECT
                project_id, name, bucket, source, environment, min, max, min_is, max_is,
                NULL::double precision AS first_min, NULL::double precision AS first_max
            FROM doubtful
            UNION ALL
            SELECT project_id, name, bucket, source, environment, NULL, NULL, false, false, min, max FROM first_ones
        ) AS side_by_side
        GROUP BY project_id, name, bucket, source, environment
        HAVING (bool_or(min_is) AND min(min) IS DISTINCT FROM min(first_min))
            OR (bool_or(max_is) AND max(max) IS DISTINCT FROM max(first_max))
    )
    SELECT u.project_id, 'quarter', u.bucket, u.name, 'NUMERIC', s.source, s.environment, '', 0, 0, 0, s.min, s.max
    FROM (SELECT DISTINCT project_id, name, bucket FROM unknown) AS u
    CROSS JOIN LATERAL (
        SELECT source, environment, min(numeric_value) AS min, max(numeric_value) AS max FROM scores
        WHERE project_id = u.project_id AND name = u.name AND data_type = 'NUMERIC'
            AND scored_at >= u.bucket AND scored_at < u.bucket + interval '15 minutes'
        GROUP BY source, environment
    ) AS s
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET min = excluded.min, max = excluded.max
    WHERE (r.min, r.max) IS DISTINCT FROM (excluded.min, excluded.max);
END
$$;

-- Buckets of `coarse`, which are `step` long, from those of `fine`. A month is as long as UTC's calendar says.
CREATE FUNCTION read_extremes_again(gone score_rollups[], coarse text, step interval, fine text) RETURNS void
    LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan SET timezone = 'UTC' AS $$
BEGIN
    INSERT INTO score_rollups AS r
        (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
    SELECT c.project_id, coarse, c.bucket, c.name, 'NUMERIC', f.source, f.environment, '', 0, 0, 0, f.min, f.max
    FROM (
        SELECT DISTINCT project_id, name, bucket FROM buckets_now(gone)
        WHERE width = coarse AND (gone_min <= min OR gone_max >= max)
    ) AS c
    CROSS JOIN LATERAL (
        SELECT source, environment, min(min) AS min, max(max) AS max FROM score_rollups
        WHERE project_id = c.project_id AND width = fine AND name = c.name AND data_type = 'NUMERIC'
            AND bucket >= c.bucket AND bucket < c.bucket + step
        GROUP BY source, environment
    ) AS f
    ON CONFLICT (project_id, width, name, bucket, data_type, source, environment, (md5(label)::uuid)) DO UPDATE
    SET min = excluded.min, max = excluded.max
    WHERE (r.min, r.max) IS DISTINCT FROM (excluded.min, excluded.max);
END
$$;

CREATE TRIGGER add_to_score_rollups AFTER INSERT ON scores
    REFERENCING NEW TABLE AS new_scores
    FOR EACH STATEMENT EXECUTE FUNCTION add_to_score_rollups();

CREATE TRIGGER take_from_score_rollups AFTER DELETE ON scores
    REFERENCING OLD TABLE AS old_scores
    FOR EACH STATEMENT EXECUTE FUNCTION take_from_score_rollups();

-- An update adds the new rows and takes the old ones away (triggers of one event fire in the order of their names).
CREATE TRIGGER update_score_rollups_take AFTER UPDATE ON scores
    REFERENCING OLD TABLE AS old_scores
    FOR EACH STATEMENT EXECUTE FUNCTION take_from_score_rollups();

CREATE TRIGGER update_score_rollups_add AFTER UPDATE ON scores
    REFERENCING NEW TABLE AS new_scores
    FOR EACH STATEMENT EXECUTE FUNCTION add_to_score_rollups();

-- TRUNCATE passes the row triggers by: the rollups go with the rows.
CREATE FUNCTION truncate_score_rollups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE score_rollups;
    RETURN NULL;
END
$$;

CREATE TRIGGER truncate_score_rollups AFTER TRUNCATE ON scores
    FOR EACH STATEMENT EXECUTE FUNCTION truncate_score_rollups();


-- Who sees which rows -------------------------------------------------------------------------------------------------

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
