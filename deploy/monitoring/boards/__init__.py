"""The dashboards, from the whole to the parts."""

from deploy.monitoring.boards import api, ingest, overview, worker

BOARDS = (overview.BOARD, ingest.BOARD, worker.BOARD, api.BOARD)
