#!/bin/sh
# Start Redis with redis.conf and the password in REDIS_PASSWORD, which so is in no argument that `ps` shows.
set -eu
umask 077
{
    cat /etc/assay/redis.conf
    printf 'requirepass "%s"\n' "${REDIS_PASSWORD:?}"
} > /run/redis/redis.conf
exec redis-server /run/redis/redis.conf
