"""The schema as plain SQL: `schema.sql` (the whole), `migrations/` (how it came about), and the runner."""
