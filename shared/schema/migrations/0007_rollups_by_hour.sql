-- A fourth width of rollups, so that a trend in any time zone, and one by hour, costs its hours and not its quarters. The
-- services of before look only for the widths that they know. The triggers also convert doubles to decimals in one way,
-- whatever a session has set.
--
-- Scores wait while the hours are filled from the quarters (as long as it takes to read the rollups of all quarters):
-- what is written meanwhile by the functions of before would be in no hour. Reads do not wait.

LOCK TABLE scores IN SHARE ROW EXCLUSIVE MODE;

CREATE OR REPLACE FUNCTION add_to_score_rollups() RETURNS trigger LANGUAGE plpgsql
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

CREATE OR REPLACE FUNCTION take_from_score_rollups() RETURNS trigger LANGUAGE plpgsql
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

INSERT INTO score_rollups
    (project_id, width, bucket, name, data_type, source, environment, label, count, sum, sum_squares, min, max)
SELECT
    project_id, 'hour', date_bin('1 hour', bucket, 'epoch'), name, data_type, source, environment, label,
    sum(count), sum(sum), sum(sum_squares), min(min), max(max)
FROM score_rollups
WHERE width = 'quarter'
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
