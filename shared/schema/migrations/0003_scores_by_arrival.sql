-- For who follows what arrives, back-fills included.

CREATE INDEX scores_by_arrival ON scores USING brin (received_at) WITH (autosummarize = on);
