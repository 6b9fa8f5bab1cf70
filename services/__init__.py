"""The three services. None of them imports another: they meet in `shared`, in Redis and in Postgres."""
