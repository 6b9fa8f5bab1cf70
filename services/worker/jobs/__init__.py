"""The role `jobs`: background jobs and schedules on arq, one module per job."""
