#!/bin/sh
{% if cookiecutter.task_queue == "none" %}
# Migrates if DJANGO_MANAGEPY_MIGRATE says so, then becomes the command; a server waits for its
# dependencies by itself.
{% else %}
# Migrates if DJANGO_MANAGEPY_MIGRATE says so, then becomes the command; servers and workers
# wait for their dependencies by themselves.
{% endif %}
set -eu

# The shell alone would ignore signals as the first process, and while it waits for another.
run() {
    "$@" &
    trap 'set +e; kill $!; wait $!; exit 129' HUP
    trap 'set +e; kill $!; wait $!; exit 130' INT
    trap 'set +e; kill $!; wait $!; exit 143' TERM
    wait $!
    trap - HUP INT TERM
}

case "$(echo "${DJANGO_MANAGEPY_MIGRATE:-off}" | tr '[:upper:]' '[:lower:]')" in
on | true | yes | 1)
    run python manage.py check_dependencies --startup
{% if cookiecutter.static_files == "s3" %}
    run python manage.py collectstatic --no-input
{% endif %}
    run python manage.py migrate --no-input
    ;;
esac

# The server would trip over these before settings can list all that is wrong.
test -n "${PORT-}" || unset PORT
{% if cookiecutter.server == "daphne" %}
case "${PORT-}" in
{% else %}
test -n "${WEB_CONCURRENCY-}" || unset WEB_CONCURRENCY
case "${PORT-}${WEB_CONCURRENCY-}" in
{% endif %}
*[!0-9]*) python -c 'from config import settings' ;;
esac

exec "$@"
